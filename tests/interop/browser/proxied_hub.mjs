// A real JupyterHub behind a proxy: login, a server of one's own, and a websocket to it.
//
//   node proxied_hub.mjs HUB USER PASSWORD

import { check, openBrowser, run } from "./helpers.mjs";

const [hub, user, password] = process.argv.slice(2);

await run(async () => {
  const browser = await openBrowser();
  const page = await (await browser.newContext()).newPage();
  await page.goto(hub);
  check("a stranger is led to the login page", page.url(), /\/hub\/login\?next=/);
  await page.fill("#username_input", user);
  await page.fill("#password_input", password);
  await page.click("#login_submit");
  // The server is spawned meanwhile.
  await page.waitForURL((url) => url.pathname.startsWith(`/user/${user}/`), { timeout: 80_000, waitUntil: "commit" });
  check("the login leads to a server of one's own", new URL(page.url()).pathname, new RegExp(`^/user/${user}/`));
  const api = `/user/${user}/api`;
  const status = await page.evaluate(async (api) => (await fetch(`${api}/status?_xsrf=${document.cookie.match(/_xsrf=([^;]*)/)?.[1]}`)).status, api);
  check("its API answers", status, 200);
  const heard = await page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url);
        socket.onopen = () => resolve("open");
        socket.onclose = () => resolve("closed");
      }),
    `ws://${new URL(hub).host}${api}/events/subscribe`,
  );
  check("its websocket opens", heard, "open");
});
