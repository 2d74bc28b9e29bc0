// Prints the version of Node.js, its processor, and what it computes with its own modules.
const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const users = readFileSync("/etc/passwd", "utf8").split("\n").length - 1;
const digest = createHash("sha256").update("karisimbi").digest("hex").slice(0, 8);
console.log(process.version, process.arch, process.env.NODE_ENV, users, digest);
