// A certified OpenID provider, `oidc-provider`, as the OAuth server of a resource server: access tokens are JWTs.
//
//   node oauth_server.mjs PORT RESOURCE SECONDS
//
// Any name and password log in. Clients register themselves. Tokens for the resource are accepted for so many seconds by a
// verifier that allows clocks to differ by 60.

import Provider, { errors } from "oidc-provider";

const [port, resource, seconds] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const scopes = ["custom:tools:read", "custom:tools:run"];

const provider = new Provider(issuer, {
  scopes: ["openid", "offline_access", ...scopes],
  features: {
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo(_, indicator) {
        if (indicator !== resource) throw new errors.InvalidTarget();
        return { scope: scopes.join(" "), accessTokenFormat: "jwt", accessTokenTTL: Number(seconds) };
      },
    },
    revocation: { enabled: true },
  },
  formats: { customizers: { jwt: (_ctx, _token, { payload }) => void (payload.exp -= 60) } },
  // Clients register with the scope of their first request, and must be able to request others later.
  extraClientMetadata: { properties: ["any"], validator: (_ctx, _name, _value, metadata) => void delete metadata.scope },
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log(`Issuer ${issuer}`));
