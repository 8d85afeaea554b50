// JupyterLab's own client against a server: node services.cjs BASE-URL TOKEN
// Its last line says what was expected and found.

const { ServerConnection, UserManager } = require("@jupyterlab/services");

const [baseUrl, token] = process.argv.slice(2);
const settings = (token) => ServerConnection.makeSettings({ baseUrl, token, appendToken: true });

function expect(claim, found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${claim}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
  }
  console.log(`${claim}: ${JSON.stringify(found)}`);
}

async function request(path, init, settings) {
  const response = await ServerConnection.makeRequest(settings.baseUrl + path, init, settings);
  const error = response.ok ? null : await ServerConnection.ResponseError.create(response);
  return { status: response.status, message: error && error.message, body: response.ok ? await response.text() : null };
}

// As the manager of events opens it.
function socket({ WebSocket, wsUrl, token }) {
  const url = `${wsUrl}api/events/subscribe${token && `?token=${encodeURIComponent(token)}`}`;
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send("hello");
    socket.onmessage = ({ data }) => {
      socket.close();
      resolve(`echo ${data}`);
    };
    socket.onerror = ({ message }) => resolve(message);
  });
}

async function main() {
  const [inside, outside, wrong] = [token, "", "wrong"].map(settings);
  const specs = await request("api/kernelspecs", {}, inside);
  expect("kernelspecs by token", [specs.status, JSON.parse(specs.body)], [200, { default: "", kernelspecs: {} }]);
  for (const [claim, strangers] of [["no token", outside], ["a wrong token", wrong]]) {
    for (const [path, init] of [["api/status", {}], ["api/shutdown", { method: "POST" }], ["api/me", { method: "PATCH", body: "{}" }]]) {
      const { status, message } = await request(path, init, strangers);
      expect(`${init.method || "GET"} ${path} with ${claim}`, [status, message], [403, "Forbidden"]);
    }
  }
  const patched = await request("api/me", { method: "PATCH", body: JSON.stringify({ color: "red" }) }, inside);
  expect("an unsafe request by token", patched.status, 200);

  const users = new UserManager({ serverSettings: inside });
  await users.ready;
  expect("the manager of users knows a name", users.identity.display_name.startsWith("Anonymous "), true);
  users.dispose();

  expect("a websocket with the token", await socket(inside), "echo hello");
  expect("a websocket without", await socket(outside), "Unexpected server response: 403");
  expect("a websocket with a wrong one", await socket(wrong), "Unexpected server response: 403");
}

main().then(() => process.exit(0), (error) => {
  console.error(error.message);
  process.exit(1);
});
