// npm's ssh2 as editors use it: a ProxyCommand that is spawned, its pipes as the connection.
// node client.mjs CONFIG HOST SOURCE FAR BACK; what it does is told in tests/acceptance/test_other_clients.py.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, createWriteStream, readFileSync } from "node:fs";
import { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import SSHConfig from "ssh-config";
import { Client } from "ssh2";

const [file, host, source, far, back] = process.argv.slice(2);
const settings = SSHConfig.parse(readFileSync(file, "utf8")).compute(host);
const knownHosts = readFileSync(settings.UserKnownHostsFile, "utf8");

const command = settings.ProxyCommand.replace("%h", host).replace("%p", settings.Port ?? "22");
const proxy = spawn("sh", ["-c", `exec ${command}`], { stdio: ["pipe", "pipe", "inherit"] });
const ssh = new Client();
ssh.connect({
  sock: Duplex.from({ readable: proxy.stdout, writable: proxy.stdin }),
  username: settings.User,
  privateKey: readFileSync([settings.IdentityFile].flat()[0]),
  hostVerifier: (key) => knownHosts.includes(key.toString("base64")),
});
await once(ssh, "ready");

const run = (words) => new Promise((resolve, reject) => {
  ssh.exec(words, (error, channel) => (error ? reject(error) : resolve(channel)));
});

const upload = await run(`cat > '${far}'`);
const uploaded = once(upload, "close");
upload.resume();
await pipeline(createReadStream(source), upload, { end: true });
await uploaded;
await pipeline(await run(`cat '${far}'`), createWriteStream(back));

console.log("transferred");
for await (const _ of process.stdin);
ssh.end();
