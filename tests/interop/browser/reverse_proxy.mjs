// One origin for several servers, each below its base, as a proxy shows them; it remembers what the browser sent.

import { createServer, request } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { connect } from "node:net";
import { undoing } from "./helpers.mjs";

/** Serves `servers` (`{base, port}`) at a port of this machine; by TLS with `{cert, key}`. The longest base wins. */
export async function serveFront(servers, tls) {
  const seen = [];
  const scheme = tls ? "https" : "http";
  const behind = (url) =>
    servers
      .filter(({ base }) => url.startsWith(base))
      .reduce((best, server) => (best && best.base.length > server.base.length ? best : server), undefined);
  const handle = (incoming, answer) => {
    const record = { method: incoming.method, url: incoming.url, headers: incoming.headers };
    seen.push(record);
    const server = behind(incoming.url);
    if (!server) return answer.writeHead(404).end();
    const { method, url: path } = incoming;
    const headers = { ...incoming.headers, "x-forwarded-proto": scheme };
    const onward = request({ host: "127.0.0.1", port: server.port, method, path, headers }, (back) => {
      record.status = back.statusCode;
      // Where there is no page to show, a browser shows an error of its own, as if nobody had answered.
      if (back.statusCode === 404) return back.resume(), answer.writeHead(404, { "Content-Type": "text/plain" }).end("not here");
      answer.writeHead(back.statusCode, back.headers);
      back.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    incoming.pipe(onward);
  };
  const front = tls ? createSecureServer(tls, handle) : createServer(handle);
  front.on("upgrade", (incoming, socket, start) => {
    const record = { method: "WEBSOCKET", url: incoming.url, headers: incoming.headers };
    seen.push(record);
    const onward = connect(behind(incoming.url).port, "127.0.0.1", () => {
      const { rawHeaders: raw } = incoming;
      const fields = raw.flatMap((name, index) => (index % 2 ? [] : [`${name}: ${raw[index + 1]}\r\n`]));
      onward.write(`GET ${incoming.url} HTTP/1.1\r\n${fields.join("")}X-Forwarded-Proto: ${scheme}\r\n\r\n`);
      onward.write(start);
      socket.pipe(onward).pipe(socket);
    });
    onward.once("data", (data) => (record.status = Number(data.toString("latin1").split(" ")[1])));
    for (const end of [socket, onward]) end.on("error", () => (socket.destroy(), onward.destroy()));
  });
  await new Promise((resolve) => front.listen(0, "127.0.0.1", resolve));
  undoing(() => front.closeAllConnections() ?? front.close());
  return { port: front.address().port, seen };
}
