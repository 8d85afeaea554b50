// Which login a real browser sends where, when several servers share one origin.
//
//   node scopes.mjs BASE PORT TOKEN [BASE PORT TOKEN]…
//
// For each BASE a notebook_server serves at PORT of this machine and takes TOKEN; they are /, /hub/, /user/alice/ and /user/alice2/.

import { check, openBrowser, run } from "./helpers.mjs";
import { serveFront } from "./reverse_proxy.mjs";

const servers = [];
for (let rest = process.argv.slice(2); rest.length; rest = rest.slice(3)) servers.push({ base: rest[0], port: Number(rest[1]), token: rest[2] });

/** Path, and the bases whose login the browser sends there. */
const PLACES = [
  ["/", ["/"]],
  ["/api/me", ["/"]],
  ["/hub", ["/"]],
  ["/hub/", ["/", "/hub/"]],
  ["/hub/api/me", ["/", "/hub/"]],
  ["/hubris/", ["/"]],
  ["/HUB/", ["/"]],
  ["/user/", ["/"]],
  ["/user/alice", ["/"]],
  ["/user/alice/", ["/", "/user/alice/"]],
  ["/user/alice/?a=/user/alice2/", ["/", "/user/alice/"]],
  ["/user/alice/files/hello.txt", ["/", "/user/alice/"]],
  ["/user/alice/../alice2/", ["/", "/user/alice2/"]],
  ["/user/alice/%2e%2e/alice2/", ["/", "/user/alice2/"]],
  ["/user/alice/%2e%2e%2falice2/", ["/", "/user/alice/"]],
  ["/user/alice%2Fx", ["/"]],
  ["/user//alice/", ["/"]],
  ["/user/alice2", ["/"]],
  ["/user/alice2/", ["/", "/user/alice2/"]],
  ["/user/alicex", ["/"]],
  ["/user/alicex/", ["/"]],
];

await run(async () => {
  const { port, seen } = await serveFront(servers);
  const origin = `http://127.0.0.1:${port}`;
  const name = `username-127-0-0-1-${port}`;
  const browser = await openBrowser();
  const context = await browser.newContext();
  const page = await context.newPage();
  const logins = async () => (await context.cookies()).filter((cookie) => cookie.name === name);
  const paths = async () => (await logins()).map(({ path }) => path).sort();

  // The longest bases first: whoever has no login yet may be shown one of another server, and takes it away.
  for (const { base, token } of [...servers].sort((a, b) => b.base.length - a.base.length)) {
    await page.goto(`${origin}${base}?token=${token}`);
    check(`the link to ${base} leads in`, await page.textContent("h1"), "Logged in");
  }
  check("each server has a login of its own", await paths(), servers.map(({ base }) => base).sort());
  const owner = new Map((await logins()).map(({ value, path }) => [value, path]));

  for (const [path, expected] of PLACES) {
    const before = seen.length;
    const answer = await page.goto(`${origin}${path}`);
    const sent = sentLogins(seen[before].headers.cookie, name).map((value) => owner.get(value));
    check(`to ${path} goes the login of ${expected.join(" and ")}`, sent.sort(), expected);
    check(`and nobody is logged out by it`, (await logins()).length, servers.length);
    if (servers.some(({ base }) => base === path)) check(`${path} knows its own`, answer.status(), 200);
  }

  const who = [];
  await page.goto(`${origin}/`);
  for (const { base } of servers) {
    const me = await page.evaluate(async (url) => (await fetch(url)).json(), `${origin}${base}api/me`);
    who.push(me.identity.username);
  }
  check("they are different people to different servers", new Set(who).size, servers.length);

  await page.goto(`${origin}/user/alice/logout`);
  check("who logs out at one is logged in at its neighbours", (await paths()).filter((path) => path !== "/"), ["/hub/", "/user/alice2/"]);
  await page.goto(`${origin}/user/alice2/`);
  check("and they know it", await page.textContent("h1"), "Logged in");
  await page.goto(`${origin}/user/alice/`);
  check("but is out at that one", new URL(page.url()).pathname, "/user/alice/login");
});

/** The values of the login cookie in a `Cookie` field. */
function sentLogins(field, name) {
  return (field ?? "").split("; ").filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1));
}
