// What pages of other origins can have a real browser send with the login, and what becomes of it.
//
//   node cross_site.mjs PORT TOKEN [CERTFILE KEYFILE]
//
// A notebook_server at PORT of this machine takes TOKEN, answers to jupyter.home.test, and believes this machine's X-Forwarded-Proto; its root has hello.js and picture.png.
// With a certificate every page comes by TLS.

import { readFileSync } from "node:fs";
import { check, openBrowser, run, serveForeignPage } from "./helpers.mjs";
import { serveFront } from "./reverse_proxy.mjs";

const [port, token, certfile, keyfile] = process.argv.slice(2);
const tls = certfile && { cert: readFileSync(certfile), key: readFileSync(keyfile) };
const scheme = tls ? "https" : "http";
const HOSTS = ["jupyter.home.test", "other.home.test", "elsewhere.test"];

/** How a page tries, at what, and what it learns by that: all it can. */
const ATTEMPTS = [
  ["an image", "files/picture.png", (url) => new Promise((done) => {
    const image = Object.assign(new Image(), { src: url });
    image.onload = image.onerror = () => done(image.naturalWidth ? "its size" : "");
  })],
  ["a script", "files/hello.js", (url) => new Promise((done) => {
    const script = Object.assign(document.createElement("script"), { src: url });
    script.onload = script.onerror = () => done(window.hello ?? "");
    document.body.append(script);
  })],
  ["a frame", "", (url) => new Promise((done) => {
    const frame = Object.assign(document.createElement("iframe"), { src: url });
    frame.onload = () => done(frame.contentDocument?.body?.innerText ?? "");
    document.body.append(frame);
  })],
  ["a fetch", "api/me", (url) => fetch(url, { credentials: "include" }).then((answer) => answer.text(), () => "")],
  ["a blind fetch", "api/me", (url) => fetch(url, { credentials: "include", mode: "no-cors" }).then((answer) => answer.text(), () => "")],
  ["a beacon", "api/shutdown", (url) => new Promise((done) => (navigator.sendBeacon(url, "x"), setTimeout(() => done(""), 500)))],
  ["a form posted in a frame", "api/shutdown", (url) => new Promise((done) => {
    const frame = Object.assign(document.createElement("iframe"), { name: "target" });
    const form = Object.assign(document.createElement("form"), { method: "post", action: url, target: "target" });
    document.body.append(frame, form);
    frame.onload = () => done(frame.contentDocument?.body?.innerText ?? "");
    form.submit();
  })],
  ["a websocket", "api/events/subscribe", (url) => new Promise((done) => {
    const socket = new WebSocket(url.replace("http", "ws"));
    socket.onopen = () => done("it is open");
    socket.onclose = () => done("");
  })],
];

/** Reads that a browser neither explains nor shows: without TLS it does not say what caused them, and the page learns nothing. */
const UNEXPLAINED = ["a frame", "a blind fetch"];

await run(async () => {
  const { port: front, seen } = await serveFront([{ base: "/", port: Number(port) }], tls);
  const origin = `${scheme}://jupyter.home.test:${front}`;
  const browser = await openBrowser(HOSTS);
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  await leadIn(context, origin, seen);

  const login = (record) => /(^|; )username-/.test(record.headers.cookie ?? "");
  for (const [site, same] of [["other.home.test", true], ["elsewhere.test", false]]) {
    const foreign = await serveForeignPage(`<!doctype html><meta charset=utf-8><title>Somebody else</title><body>
      <a href="${origin}/">Their page</a><form method=post action="${origin}/api/shutdown"><button>Look</button></form>`, tls);
    const page = await context.newPage();
    const away = `${scheme}://${site}:${foreign}/`;
    for (const [what, path, attempt] of ATTEMPTS) {
      await page.goto(away);
      seen.length = 0;
      const learned = await page.evaluate(attempt, `${origin}/${path}`);
      const record = seen.find(({ url }) => url === `/${path}`);
      check(`${what} of ${site} gets as far as the server`, record !== undefined, true);
      check(`${what} of ${site} ${same ? "comes with" : "comes without"} the login`, login(record), same);
      check(`${what} of ${site} learns nothing`, learned, "");
      const unexplained = !tls && same && UNEXPLAINED.includes(what);
      check(`${what} of ${site} is ${unexplained ? "answered unseen" : "refused"}`, record.status, unexplained ? 200 : /^(302|401|403)$/);
    }

    await page.goto(away);
    seen.length = 0;
    await page.click("button");
    await page.waitForURL(`${origin}/api/shutdown`);
    check(`a form posted from ${site} ${same ? "comes with" : "comes without"} the login`, login(seen[0]), same);
    check(`a form posted from ${site} does nothing`, seen[0].status, 403);

    await page.goto(away);
    seen.length = 0;
    await page.click("a");
    await page.waitForURL(`${origin}/`);
    check(`a link on ${site} comes with the login`, login(seen[0]), true);
    check(`a link on ${site} leads in`, await page.textContent("h1"), "Logged in");
    await page.close();
  }
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  check("the server still runs, and the login is still good", await page.textContent("h1"), "Logged in");
});

/** A link with the token, opened from a page of somebody else: in, without a trace of it. */
async function leadIn(context, origin, seen) {
  const link = `${origin}/?dir=notes&token=${token}`;
  const foreign = await serveForeignPage(`<!doctype html><title>A chat</title><a href="${link}">My notebooks</a>`, tls);
  const page = await context.newPage();
  await page.goto(`${scheme}://elsewhere.test:${foreign}/`);
  await page.click("a");
  await page.waitForURL(`${origin}/?dir=notes`);
  check("the address bar shows no token", page.url(), `${origin}/?dir=notes`);
  check("scripts see no token", await page.evaluate(() => [location.href, document.referrer, document.URL].join()), `${origin}/?dir=notes,,${origin}/?dir=notes`);
  await page.click("text=..");
  await page.waitForURL(`${origin}/?dir=`);
  const [first, second, ...later] = seen.filter(({ url }) => url !== "/favicon.ico");
  check("the token is in the first request alone", [first.url.includes(token), JSON.stringify([second, later]).includes(token)], [true, false]);
  check("the request after it has no Referer", second.headers.referer, undefined);
  check("the next one says where it was, without a token", later[0].headers.referer, `${origin}/?dir=notes`);
  const [{ sameSite, httpOnly, domain }] = (await context.cookies()).filter(({ name }) => name.startsWith("username-"));
  check("the login is for this host alone", [sameSite, httpOnly, domain], ["Lax", true, "jupyter.home.test"]);
  await page.goBack();
  await page.goBack();
  check("going back leads past it", page.url(), `${scheme}://elsewhere.test:${foreign}/`);
  await page.close();
}
