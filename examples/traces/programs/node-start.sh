#!/bin/sh
# Node.js starts, compiles, collects garbage, serves itself twenty requests, has one worker thread, and ends.
exec node --max-semi-space-size=4 -e '
const http = require("http"), { Worker } = require("worker_threads");
const table = Array.from({ length: 100000 }, (_, i) => ({ id: i, name: "n" + (i * 7919 % 30011) }));
table.sort((a, b) => a.name < b.name ? -1 : 1);
const server = http.createServer((q, r) => r.end(JSON.stringify(table.slice(0, 500))));
new Worker("let s = 0; for (let i = 0; i < 3e6; i++) s += i % 7; require(\"worker_threads\").parentPort.postMessage(s)",
    { eval: true }).on("message", () => server.listen(0, "127.0.0.1", () => {
    let left = 20;
    const next = () => http.get({ port: server.address().port }, r => {
        let text = ""; r.on("data", d => text += d);
        r.on("end", () => { JSON.parse(text); --left ? next() : server.close(); });
    });
    next();
}));'
