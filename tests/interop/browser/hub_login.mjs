// A real JupyterHub spawns single_user: login, websocket, logout at the hub, and somebody else.
//
//   node hub_login.mjs HUB USER PASSWORD OTHER PICTURES [PREFIX]
//
// PREFIX is that of the token cookie's name. By TLS every certificate is taken.

import { check, openBrowser, run } from "./helpers.mjs";

const [hub, user, password, other, pictures, prefix = ""] = process.argv.slice(2);
const segment = encodeURIComponent(user);

await run(async () => {
  const browser = await openBrowser();
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await logIn(page, user);
  // The server is spawned meanwhile.
  await page.waitForURL((url) => url.pathname === `/user/${segment}/`, { timeout: 80_000 });
  const home = page.url();
  check("the login leads to one's own server", await page.textContent("h1"), "Logged in");
  check("it knows who", await page.textContent("#who"), user);
  await page.screenshot({ path: `${pictures}in.png` });

  const names = (await context.cookies()).map(({ name, path }) => `${name} ${path}`).sort();
  check("the token cookie is there", names.includes(`${prefix}jupyterhub-user-${segment} ${prefix ? "/" : `/user/${segment}/`}`), true);
  check("no login under way is left", names.filter((name) => name.includes("oauth-state")), []);

  const api = `/user/${segment}/api`;
  const ask = (method, withXsrf) =>
    page.evaluate(
      async ([url, method, withXsrf]) => {
        const xsrf = document.cookie.match(/_xsrf=([^;]*)/)?.[1];
        return (await fetch(url, { method, headers: withXsrf ? { "X-XSRFToken": xsrf } : {} })).status;
      },
      [`${api}/contents`, method, withXsrf],
    );
  check("a script reads with _xsrf", await ask("GET", true), 200);
  check("a script does not read without", await ask("GET", false), 403);
  check("a script writes with _xsrf", await ask("POST", true), 200);
  check("a script does not write without", await ask("POST", false), 403);
  const socket = () =>
    page.evaluate(
      (url) =>
        new Promise((resolve) => {
          const socket = new WebSocket(url);
          socket.onopen = () => socket.send("hello");
          socket.onmessage = ({ data }) => resolve(data);
          socket.onclose = () => resolve("closed");
        }),
      `${home.replace("http", "ws")}api/events/subscribe`,
    );
  check("the websocket speaks", await socket(), "hello");

  // Logged out at the hub, in another tab.
  const tab = await context.newPage();
  await tab.goto(`${hub}hub/logout`);
  await page.waitForTimeout(3_000);
  check("after the logout at the hub the API is closed", await ask("GET", true), 403);
  check("and the websocket", await socket(), "closed");
  await page.goto(home);
  check("and a page leads to the login", page.url(), /\/hub\/login\?next=/);

  await page.fill("#username_input", user);
  await page.fill("#password_input", password);
  await page.click("#login_submit");
  await page.waitForURL((url) => url.pathname === `/user/${segment}/`);
  check("and back in", await page.textContent("#who"), user);
  await page.click("#logout");
  await page.waitForURL(/\/hub\/login/);
  check("the server's own logout goes on to the hub's", page.url(), /\/hub\/login/);
  check("and leaves no token", (await context.cookies()).filter(({ name }) => name.includes("jupyterhub-user")), []);

  const stranger = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  await logIn(stranger, other);
  await stranger.waitForURL((url) => url.pathname.startsWith(`/user/${other}/`), { timeout: 80_000 });
  const answer = await stranger.goto(home);
  check("somebody else is told no", answer.status(), 403);
  await stranger.screenshot({ path: `${pictures}other.png` });
});

async function logIn(page, name) {
  await page.goto(hub);
  await page.fill("#username_input", name);
  await page.fill("#password_input", password);
  await page.click("#login_submit");
}
