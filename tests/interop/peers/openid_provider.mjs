// A certified OpenID provider, `oidc-provider`, with its own pages for login and consent.
//
//   node openid_provider.mjs PORT APPLICATION_PORT...
//
// Any name and password log in. The client `example` has its redirect URIs on 127.0.0.1 at the application's ports, and so have
// `another`; `short`, whose ID tokens are valid for two seconds; `hub`, for a hub; and `sessions`, which is told when a session
// at the provider ends. With NEW_KEY in the environment, the key is a new one.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const [port, ...applications] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const at = (path) => applications.map((application) => `http://127.0.0.1:${application}${path}`);

const client = (client_id, path = "/login/callback") => ({
  client_id,
  client_secret: "the secret of the example",
  redirect_uris: at(path),
  post_logout_redirect_uris: at("/"),
});

const newKey = () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig" };
};

const provider = new Provider(issuer, {
  clients: [
    client("example"),
    client("another"),
    client("short"),
    client("hub", "/hub/login/callback"),
    {
      ...client("sessions"),
      backchannel_logout_uri: at("/login/provider/logout")[0],
      backchannel_logout_session_required: true,
    },
  ],
  ...(process.env.NEW_KEY && { jwks: { keys: [newKey()] } }),
  features: { backchannelLogout: { enabled: true } },
  claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: `${id} of the provider`,
      preferred_username: id,
      email: `${id}@example.org`,
      email_verified: true,
    }),
  }),
  ttl: { IdToken: (_ctx, _token, { clientId }) => (clientId === "short" ? 2 : 3600) },
});

provider.listen(Number(port), "127.0.0.1", () => console.log(`Issuer ${issuer}`));
