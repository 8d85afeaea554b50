// A link with the token in a real browser: in, without a trace of it; and what other sites' pages may not do.
//
//   node token_link.mjs LINK DIRECTORY
//
// LINK leads to the base page of a notebook_server with the token that it printed; its root has hello.txt and picture.png. Screenshots go to DIRECTORY.

import { join } from "node:path";
import { check, openBrowser, run, serveForeignPage } from "./helpers.mjs";

const [link, pictures] = process.argv.slice(2);
const { host, port, origin, pathname: base, searchParams } = new URL(link);
const token = searchParams.get("token");
const home = `${origin}${base}`;

await run(async () => {
  const browser = await openBrowser(["rebound.example"]);
  const context = await browser.newContext();
  const page = await context.newPage();
  await logIn(context, page);
  await useOwnPages(context, page);
  for (const site of ["127.0.0.1", "localhost"]) await useForeignPage(context, site);
  await useOwnPages(context, page);
  await beRefused(browser);
});

/** Opens the link, and looks for the token wherever it could have stuck. */
async function logIn(context, page) {
  const requests = [];
  page.on("request", (request) => requests.push(request));
  const answer = await page.goto(link);
  check("the link leads in", answer.status(), 200);
  check("the address bar shows no token", page.url(), home);
  check("the page says who", await page.textContent("#who"), /\S/);
  check("the page was shown to the cookie", await page.textContent("#how"), /cookie/i);
  check("the page holds no token", (await page.content()).includes(token), false);
  check("the page has no referrer", await page.evaluate(() => document.referrer), "");

  const cookies = await context.cookies();
  const login = cookies.filter((cookie) => cookie.name.startsWith("username-"));
  check(
    "there is one login cookie, for this server, not for scripts, and not for other sites",
    login.map(({ name, path, domain, httpOnly, sameSite, secure }) => ({ name, path, domain, httpOnly, sameSite, secure })),
    [
      {
        name: `username-127-0-0-1-${port}`,
        path: base,
        domain: "127.0.0.1",
        httpOnly: true,
        sameSite: "Lax",
        secure: false,
      },
    ],
  );
  check("no cookie holds the token", cookies.some((cookie) => cookie.value.includes(token)), false);
  check("scripts do not see the login", (await page.evaluate(() => document.cookie)).includes("username-"), false);
  await page.screenshot({ path: join(pictures, "in.png"), fullPage: true });
  await page.setViewportSize({ width: 360, height: 640 });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: join(pictures, "in-phone-dark.png"), fullPage: true });

  check("the page lists what may be read, and nothing else", await page.locator("li").allInnerTexts(), [
    "notes/",
    "hello.txt",
    "picture.png",
  ]);
  const file = page.waitForResponse(`${home}files/hello.txt`);
  await page.click("text=hello.txt");
  check("a link of the page leads to a file", (await file).status(), 200);
  await page.goBack();
  await page.goBack({ timeout: 2000 }).catch(() => {});
  check("going back does not lead to the token", page.url().includes("token"), false);
  await page.goto(home);

  await page.click("text=notes/");
  const odd = page.waitForResponse((answer) => answer.url().startsWith(`${home}files/notes/today`));
  await page.click("text=today & <tomorrow>.md");
  check("whatever a file is called, its link leads there", (await odd).status(), 200);
  await page.goto(home);

  const [first, ...later] = requests;
  check("the token was in the first request alone", first.url(), link);
  for (const request of later) {
    const told = JSON.stringify([request.url(), await request.allHeaders()]);
    check(`no token in the request for ${new URL(request.url()).pathname}`, told.includes(token), false);
  }
}

/** What pages of this server may do with the cookie. */
async function useOwnPages(context, page) {
  await page.goto(home);
  const ask = (method, path, headers = {}) =>
    page.evaluate(
      async ([method, url, headers]) => (await fetch(url, { method, headers, body: method === "PATCH" ? '{"color":"teal"}' : null })).status,
      [method, `${home}${path}`, headers],
    );
  check("an own page reads the API", await ask("GET", "api/status"), 200);
  check("an own page without _xsrf changes nothing", await ask("PATCH", "api/me"), 403);
  const xsrf = (await context.cookies()).find((cookie) => cookie.name === "_xsrf");
  check("the page came with an _xsrf that scripts can read", xsrf && !xsrf.httpOnly, true);
  check("an own page with _xsrf does", await ask("PATCH", "api/me", { "X-XSRFToken": xsrf.value }), 200);
  const me = await page.evaluate(async (url) => (await fetch(url)).json(), `${home}api/me`);
  check("and what it changed is kept", me.identity.color, "teal");
  check("an own page shows a picture", await show(page), "shown");
  check("an own page's websocket talks", await talk(page), "echo");
}

/** What the page of another server may do, on another port of the same site, or on another site: nothing. */
async function useForeignPage(context, site) {
  const foreign = await serveForeignPage(`<!doctype html><title>Somebody else</title>
    <form method=post action="${home}api/shutdown"><button>Look, a kitten</button></form>
    <a id=page href="${home}">Their page</a> <a id=file href="${home}files/hello.txt">Their file</a>`);
  const page = await context.newPage();
  const statuses = new Map();
  page.on("response", (response) => statuses.set(new URL(response.url()).pathname, response.status()));
  const away = `http://${site}:${foreign}/`;
  const visit = () => page.goto(away);
  const from = `a page of ${site} on another port`;

  await visit();
  check(`${from} cannot show a picture of ours`, await show(page), "refused");

  const read = await page.evaluate(
    (url) => fetch(url, { credentials: "include" }).then((answer) => answer.text(), () => "unreadable"),
    `${home}api/status`,
  );
  check(`${from} cannot read the API`, read, "unreadable");

  await page.evaluate(
    (url) => fetch(url, { method: "POST", mode: "no-cors", credentials: "include" }).catch(() => {}),
    `${home}api/shutdown`,
  );
  check(`${from} cannot post by script`, statuses.get(`${base}api/shutdown`), /^(401|403)$/);

  check(`${from} cannot talk by websocket`, await talk(page), /403/);

  statuses.clear();
  await visit();
  await Promise.all([page.waitForURL(`${home}api/shutdown`), page.click("button")]);
  check(`${from} cannot post a form`, statuses.get(`${base}api/shutdown`), /^(401|403)$/);

  for (const [what, where, status] of [["page", home, 200], ["file", `${home}files/hello.txt`, 403]]) {
    await visit();
    const [answer] = await Promise.all([page.waitForResponse(where), page.click(`#${what}`)]);
    check(`a link on ${from} to our ${what} is answered ${status}`, answer.status(), status);
  }
  await page.close();
}

/** What somebody without a good credential sees. */
async function beRefused(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const wrong = await page.goto(`${home}?token=wrong`);
  check("a wrong token leads to the login page", wrong.url(), `${home}login?next=${encodeURIComponent(base)}`);
  check("a wrong token sets no login", (await context.cookies()).filter(({ name }) => name.startsWith("username-")), []);
  await page.screenshot({ path: join(pictures, "refused.png"), fullPage: true });

  const rebound = await page.goto(`http://rebound.example:${port}${base}?token=${token}`);
  check("a name that somebody made point at us is not answered, whatever the token", rebound.status(), 403);
  await page.screenshot({ path: join(pictures, "rebound.png"), fullPage: true });
  check("nor given a cookie", await context.cookies(`http://rebound.example:${port}${base}`), []);
  await context.close();
}

/** Whether `page` can show a picture of the server. */
function show(page) {
  return page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve("shown");
        image.onerror = () => resolve("refused");
        // Another address each time: what is in the cache is not asked for.
        image.src = `${url}?${Math.random()}`;
      }),
    `${home}files/picture.png`,
  );
}

/** What a websocket of `page` to the server hears when it says "echo", or why it hears nothing. */
async function talk(page) {
  const refused = new Promise((resolve) =>
    page.once("websocket", (socket) => socket.on("socketerror", (error) => resolve(error))),
  );
  const heard = page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url);
        socket.onopen = () => socket.send("echo");
        socket.onmessage = ({ data }) => resolve(data);
        socket.onclose = () => resolve("closed");
      }),
    `ws://${host}${base}api/events/subscribe`,
  );
  const outcome = await heard;
  return outcome === "closed" ? refused : outcome;
}
