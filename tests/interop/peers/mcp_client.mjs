// The MCP client of npm: it logs in, calls tools, and prints what happens.
//
//   node mcp_client.mjs SERVER_URL STATE_FILE STEP...
//
// A step is the name of a tool. The user opens what is printed after `open`; the client listens at its redirect URI.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";

const [url, file, ...steps] = process.argv.slice(2);
const toolArguments = { whoami: {}, add: { a: 2, b: 3 } };
setTimeout(() => process.exit(3), 60_000).unref();

/** Tokens and client, kept in a file. */
const saved = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
function save(name, value) {
  saved[name] = value;
  writeFileSync(file, JSON.stringify(saved));
}

let received;
const callback = createServer((request, response) => {
  response.end("Done");
  received?.(new URL(request.url, "http://127.0.0.1").searchParams);
});
await new Promise((listening) => callback.listen(0, "127.0.0.1", listening));
const redirectUrl = `http://127.0.0.1:${callback.address().port}/callback`;

let verifier, sent;
const provider = {
  redirectUrl,
  clientMetadata: {
    client_name: "JavaScript client",
    redirect_uris: [redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
    application_type: "native",
  },
  state: () => crypto.randomUUID(),
  clientInformation: () => saved.client,
  saveClientInformation: (client) => save("client", client),
  tokens: () => saved.tokens,
  saveTokens: (tokens) => save("tokens", tokens),
  saveCodeVerifier: (text) => (verifier = text),
  codeVerifier: () => verifier,
  invalidateCredentials(what) {
    console.log("invalidated", what);
    save("tokens", undefined);
    if (what === "all") save("client", undefined);
  },
  redirectToAuthorization(page) {
    sent = new Promise((resolve) => (received = resolve));
    console.log("open", String(page));
  },
};

async function logged(target, init) {
  const response = await fetch(target, init);
  console.log("http", init?.method ?? "GET", new URL(target).pathname, response.status);
  return response;
}

/** Calls a tool; logs in where the client says that it is due. */
async function call(step) {
  for (let attempt = 0; ; attempt += 1) {
    const client = new Client({ name: "interop", version: "1" });
    const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider, fetch: logged });
    try {
      await client.connect(transport);
      const result = await client.callTool({ name: step, arguments: toolArguments[step] });
      console.log(result.isError ? "failed" : "result", step, result.content[0].text);
      return;
    } catch (error) {
      if (attempt === 2) throw error;
      if (error instanceof UnauthorizedError) {
        const parameters = await sent;
        if (parameters.has("error")) throw new Error(parameters.get("error"));
        await transport.finishAuth(parameters.get("code"));
      } else if (error.code === 403 && saved.tokens.refresh_token) {
        // It refreshes its token before it asks the user, which gives no further scope.
        save("tokens", { ...saved.tokens, refresh_token: undefined });
      } else {
        throw error;
      }
    } finally {
      await client.close();
    }
  }
}

try {
  for (const step of steps) await call(step);
} catch (error) {
  console.log("refused", error.constructor.name, String(error.message).replaceAll("\n", " "));
}
process.exit(0);
