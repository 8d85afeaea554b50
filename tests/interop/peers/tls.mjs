// One request by TLS, as node makes it, and what came of it as one line of JSON.
//
//   node tls.mjs '{"url": "https://…", "ca": "FILE", "http2": true, "websocket": true, "silent": true, "method": "GET", "headers": {}, "body": "", "cert": "FILE", "key": "FILE"}'
//
// Only the certificates in `ca` are trusted, `cert` is shown to whoever asks (without HTTP/2), and nothing is followed.

import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { request } from "node:https";
import { connect as dial } from "node:tls";
import WebSocket from "ws";

const { url, ca, http2, websocket, silent, method = "GET", headers = {}, body, cert, key } = JSON.parse(process.argv[2]);
const trusted = readFileSync(ca);
const shown = cert ? { cert: readFileSync(cert), key: readFileSync(key) } : {};

function tell(socket, status, fields, text) {
  const certificate = socket?.getPeerCertificate?.();
  console.log(JSON.stringify({ status, headers: fields, body: text, protocol: socket?.alpnProtocol, serial: certificate?.serialNumber }));
  process.exit(0);
}

function fail(error) {
  console.log(JSON.stringify({ error: `${error.code ?? ""} ${error.message}` }));
  process.exit(0);
}

async function read(stream) {
  let text = "";
  for await (const part of stream) text += part;
  return text;
}

setTimeout(() => fail(new Error("no answer in 15 seconds")), 15_000).unref();

if (silent) {
  // Shakes hands, agrees on HTTP/2, and waits to be let go.
  const { hostname: host, port } = new URL(url);
  const socket = dial({ host, port, ca: trusted, servername: "localhost", ALPNProtocols: ["h2"] });
  socket.on("error", fail);
  socket.on("data", () => {});
  socket.on("end", () => tell(socket, 0, {}, "let go"));
} else if (websocket) {
  const socket = new WebSocket(url, { ca: trusted, headers });
  socket.on("open", () => socket.send("echo"));
  socket.on("message", (data) => tell(undefined, 101, {}, String(data)));
  socket.on("unexpected-response", (_, answer) => tell(answer.socket, answer.statusCode, answer.headers, ""));
  socket.on("error", fail);
} else if (http2) {
  const session = connect(new URL(url).origin, { ca: trusted });
  session.on("error", fail);
  const { pathname, search } = new URL(url);
  const stream = session.request({ ":method": method, ":path": pathname + search, ...headers });
  stream.on("error", fail);
  stream.on("response", async (fields) => tell(session.socket, fields[":status"], fields, await read(stream)));
  stream.end(body);
} else {
  const sent = request(url, { method, headers, ca: trusted, ...shown, ALPNProtocols: ["http/1.1"] }, async (answer) => {
    const { socket } = answer;
    tell(socket, answer.statusCode, answer.headers, await read(answer));
  });
  sent.on("error", fail);
  sent.end(body);
}
