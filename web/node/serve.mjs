// Serves a folder over HTTP, on this machine only: `node serve.mjs FOLDER [PORT]`, or `serve(folder)` from another script.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".txt": "text/plain; charset=utf-8",
};

/** Serves what lies in the folder; gives the server and its address. Port 0 is any that is free. */
export async function serve(folder, port = 0) {
  const root = resolve(folder);
  const server = createServer(async (request, response) => {
    try {
      let path = normalize(join(root, decodeURIComponent(new URL(request.url, "http://localhost").pathname)));
      if (path !== root && !path.startsWith(root + sep)) throw new Error("outside of the folder");
      if ((await stat(path)).isDirectory()) path = join(path, "index.html");
      const { size } = await stat(path);
      const type = TYPES[extname(path)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "content-length": size, "cache-control": "no-store" });
      createReadStream(path).pipe(response);
    } catch {
      response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
    }
  });
  await new Promise((listening, failed) => server.on("error", failed).listen(port, "127.0.0.1", listening));
  return { server, address: `http://localhost:${server.address().port}` };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [folder, port] = process.argv.slice(2);
  if (!folder) {
    console.error("usage: node serve.mjs FOLDER [PORT]");
    process.exit(1);
  }
  const { address } = await serve(folder, Number(port ?? 8080));
  console.log(address);
}
