// What npm's ssh-config makes of a file, as JSON: node lookup.mjs CONFIG HOST
import { readFileSync } from "node:fs";
import SSHConfig from "ssh-config";

const [file, host] = process.argv.slice(2);
console.log(JSON.stringify(SSHConfig.parse(readFileSync(file, "utf8")).compute(host)));
