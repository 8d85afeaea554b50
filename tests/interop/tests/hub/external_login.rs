//! A JupyterHub whose users log in at `mini_hub`, by GenericOAuthenticator of PyPI's `oauthenticator`.

use portcullis_interop::{
    headless_browser::{HeadlessBrowser, Page},
    jupyter_server::free_port,
    jupyterhub::{Front, JupyterHub},
    mini_hub::MiniHub,
};

const SECRET: &str = "7a1c94e05bd24f6e9c38d2f4b6a8e013";
/// Of [`MiniHub::PASSWORD`].
const HASH: &str = "argon2:$argon2id$v=19$m=19456,t=2,p=1$++qLoPlZzZtudPKpETT/cw$ohvRqemsCmGIYPNqe8xLPY6KLLjmso+LeE658ib0vmA";

/// Each below a path of its own: cookies are for all ports of a host.
fn start() -> (JupyterHub, MiniHub) {
    let port = free_port();
    let issuer = format!("http://127.0.0.1:{port}/idp");
    let front = Front {
        base: "/jupyter/",
        ..Front::default()
    };
    let jupyterhub = JupyterHub::start_at(
        front,
        &format!(
            "c.JupyterHub.authenticator_class = 'generic-oauth'
c.Authenticator.auto_login = True
c.OAuthenticator.client_id = 'service-jupyterhub'
c.OAuthenticator.client_secret = '{SECRET}'
c.OAuthenticator.oauth_callback_url = '{{origin}}/jupyter/hub/oauth_callback'
c.OAuthenticator.authorize_url = '{issuer}/hub/api/oauth2/authorize'
c.OAuthenticator.token_url = '{issuer}/hub/api/oauth2/token'
c.OAuthenticator.userdata_url = '{issuer}/hub/api/user'
c.OAuthenticator.username_claim = 'name'
c.OAuthenticator.manage_groups = True
c.OAuthenticator.auth_state_groups_key = 'oauth_user.groups'
"
        ),
    );
    let user = |name: &str, scopes: &str| {
        format!(
            "[[users]]\nname = {name:?}\npassword = {HASH:?}\ngroups = [\"staff\"]\nscopes = [{scopes}]\n"
        )
    };
    let access = "\"access:services!service=jupyterhub\"";
    let mini_hub = MiniHub::start_configured(|_, _| {
        format!(
            "bind = [\"127.0.0.1:{port}\"]
public_url = \"{issuer}/\"
store = \"memory:\"
{}{}{}
[[services]]
name = \"jupyterhub\"
api_token = \"{SECRET}\"
oauth_redirect_uri = \"{}/jupyter/hub/oauth_callback\"
",
            user("alice", access),
            user("bob", ""),
            user("carol", access),
            jupyterhub.origin,
        )
    });
    (jupyterhub, mini_hub)
}

/// From the JupyterHub's home page to the end of a login.
fn log_in(jupyterhub: &JupyterHub, mini_hub: &MiniHub, name: &str) -> Page {
    let mut browser = HeadlessBrowser::default();
    let login = browser.open(&format!("{}/jupyter/hub/home", jupyterhub.origin));
    let page = mini_hub.log_in(&mut browser, &login, name);
    if page.answer.status != 200 {
        return page;
    }
    assert!(page.url.contains("/idp/hub/api/oauth2/authorize"), "{page:?}");
    let (xsrf, scopes) = (page.hidden("_xsrf"), page.all_hidden("scopes"));
    let mut fields = vec![("_xsrf", &*xsrf)];
    fields.extend(scopes.iter().map(|scope| ("scopes", &**scope)));
    browser.submit(&page.url, &fields)
}

#[test]
fn users_of_a_jupyterhub_log_in_at_mini_hub_by_the_generic_authenticator() {
    let (jupyterhub, mini_hub) = start();
    let home = log_in(&jupyterhub, &mini_hub, "alice");
    assert_eq!(
        home.url,
        format!("{}/jupyter/hub/home", jupyterhub.origin),
        "{home:?}"
    );
    assert_eq!(home.answer.status, 200);
    let model = jupyterhub.api("GET", "/users/alice", "").json();
    assert_eq!(model["groups"], serde_json::json!(["staff"]), "{model}");

    // One has no access to the service, the other is not a user of the JupyterHub.
    let refused = log_in(&jupyterhub, &mini_hub, "bob");
    assert_eq!(refused.answer.status, 403);
    assert!(refused.url.contains("/idp/"), "{refused:?}");
    let refused = log_in(&jupyterhub, &mini_hub, "carol");
    assert_eq!(refused.answer.status, 403);
    assert!(refused.url.contains("/jupyter/hub/oauth_callback"), "{refused:?}");
    for name in ["bob", "carol"] {
        assert_eq!(
            jupyterhub.api("GET", &format!("/users/{name}"), "").status == 200,
            name == "bob"
        );
    }
}
