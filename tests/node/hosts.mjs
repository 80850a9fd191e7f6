// What editors on npm's ssh-config list of a file, as JSON: node hosts.mjs CONFIG
// As open-remote-ssh does (its src/ssh/sshConfig.ts): names of Host lines that are no patterns and have no word that
// begins with a dot; of an Include, the file whose name is its value.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import SSHConfig from "ssh-config";

function hosts(file) {
  const found = [];
  for (const line of SSHConfig.parse(existsSync(file) ? readFileSync(file, "utf8").trim() : "")) {
    if (line.type !== SSHConfig.DIRECTIVE || !line.value) continue;
    if (line.param.toLowerCase() === "include") found.push(...hosts(line.value.replace(/^~/, homedir())));
    if (line.param.toLowerCase() === "host" && line.config) {
      const values = Array.isArray(line.value) ? line.value.map((each) => each.val) : [line.value];
      found.push(...values.filter((value) => !/^!|[?*]|(^|\/)\./.test(value)));
    }
  }
  return found;
}

console.log(JSON.stringify(hosts(process.argv[2])));
