// A certified OpenID provider, `oidc-provider`, with its own pages for login and consent.
//
//   node openid_provider.mjs PORT APPLICATION_PORT...
//
// Any name and password log in. The client `example` has its redirect URIs on 127.0.0.1 at the application's ports.

import Provider from "oidc-provider";

const [port, ...applications] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "example",
      client_secret: "the secret of the example",
      redirect_uris: applications.map((application) => `http://127.0.0.1:${application}/login/callback`),
      post_logout_redirect_uris: applications.map((application) => `http://127.0.0.1:${application}/`),
    },
  ],
  claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `${id} of the provider`, email: `${id}@example.org`, email_verified: true }),
  }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log(`Issuer ${issuer}`));
