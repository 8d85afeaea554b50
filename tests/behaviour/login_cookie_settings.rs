//! The name and the attributes of the login cookie, and several layers on one host.

use portcullis::{
    AuthLayer, AuthLayerBuilder, Grant, Identity, Keyring, RequestHead, Secret,
    cookies::{CookiePrefix, SameSite, SecureAttribute},
    request::BaseUrl,
};

use crate::common::{Ready as _, request, send};

fn keyring(number: u8) -> Keyring {
    Keyring::from_secret(Secret::from(vec![number; 32])).expect("a key of 32 bytes")
}

/// A layer whose logins are made by the application.
fn layer(base: &str, settings: impl FnOnce(AuthLayerBuilder) -> AuthLayerBuilder) -> AuthLayer {
    let base = base.parse::<BaseUrl>().expect("a base");
    let builder = AuthLayer::builder().custom_login_page().base_url(base);
    settings(builder).build().expect("a layer")
}

/// The `Set-Cookie` lines of a login of alice.
fn login(layer: &AuthLayer) -> Vec<String> {
    let head = request("POST /login");
    let cookies = layer
        .login(RequestHead::new(&head), Grant::new(Identity::new("alice")))
        .ready()
        .expect("a login");
    let mut headers = http::HeaderMap::new();
    cookies.append_to(&mut headers);
    let lines = headers.get_all("set-cookie").iter();
    lines
        .map(|line| line.to_str().expect("ASCII").to_owned())
        .collect()
}

/// What a browser sends back of a login.
fn pair(lines: &[String]) -> &str {
    lines[0].split(';').next().expect("a pair")
}

async fn status(layer: &AuthLayer, target: &str, cookies: &str) -> u16 {
    let request = request(&format!("GET {target}\ncookie: {cookies}"));
    send(layer, request).await.status.as_u16()
}

/// What a logout removes: the name and the path of each line.
async fn removed(layer: &AuthLayer, target: &str, cookies: &str) -> Vec<String> {
    let request = request(&format!(
        "GET {target}\ncookie: {cookies}\naccept: text/html\nsec-fetch-site: same-origin\nsec-fetch-mode: navigate\nsec-fetch-dest: document"
    ));
    let answer = send(layer, request).await;
    let lines = answer.set_cookies().into_iter();
    let removals = lines.filter(|line| line.contains("Max-Age=0"));
    removals
        .map(|line| {
            let name = line.split('=').next().expect("a name");
            let path = line.split("; ").find(|part| part.starts_with("Path="));
            format!("{name} {}", path.expect("a path"))
        })
        .collect()
}

#[tokio::test]
async fn a_layer_below_another_leaves_its_cookie_alone() {
    let (site, admin) = (
        layer("/", |builder| builder.keyring(keyring(1))),
        layer("/admin/", |builder| builder.keyring(keyring(2))),
    );
    let (of_site, of_admin) = (login(&site), login(&admin));
    // A browser sends both to /admin/, and both have the name of the host.
    let both = format!("{}; {}", pair(&of_admin), pair(&of_site));
    assert_eq!(status(&admin, "/admin/x", &both).await, 200);
    assert_eq!(status(&site, "/x", &both).await, 200);
    assert_eq!(
        removed(&admin, "/admin/logout", &both).await,
        ["username-localhost Path=/admin/", "_xsrf Path=/admin/"]
    );
    // So it does where the other layer's cookie comes alone and is not its own.
    assert_eq!(
        removed(&admin, "/admin/x", pair(&of_site)).await,
        ["username-localhost Path=/admin/"]
    );
}

#[tokio::test]
async fn layers_on_one_path_have_names_of_their_own_or_share_a_login() {
    let (one, two) = (
        layer("/", |builder| builder.keyring(keyring(1)).cookie_name("one")),
        layer("/", |builder| builder.keyring(keyring(2)).cookie_name("two")),
    );
    let (of_one, of_two) = (login(&one), login(&two));
    assert!(pair(&of_one).starts_with("one=") && pair(&of_two).starts_with("two="));
    let both = format!("{}; {}", pair(&of_one), pair(&of_two));
    for layer in [&one, &two] {
        assert_eq!(status(layer, "/", &both).await, 200);
    }
    assert_eq!(status(&one, "/", pair(&of_two)).await, 401);
    assert_eq!(
        removed(&one, "/logout", &both).await,
        ["one Path=/", "_xsrf Path=/"]
    );

    let shares = layer("/", |builder| builder.keyring(keyring(1)).cookie_name("one"));
    assert_eq!(status(&shares, "/", pair(&of_one)).await, 200);
}

#[tokio::test]
async fn attributes_hold_for_the_login_and_for_xsrf() {
    let framed = layer("/", |builder| {
        builder.cookie_attributes(|cookie| {
            let cookie = cookie.with_secure(SecureAttribute::Always)?;
            cookie.with_same_site(SameSite::None)?.with_partitioned()
        })
    });
    let lines = login(&framed);
    assert_eq!(lines.len(), 2);
    for line in &lines {
        for attribute in ["; SameSite=None", "; Partitioned", "; Secure"] {
            assert!(line.contains(attribute), "{line}");
        }
    }
    let prefixed = layer("/", |builder| {
        let builder = builder.cookie_name("session");
        builder.cookie_attributes(|cookie| cookie.with_prefix(CookiePrefix::Host))
    });
    let lines = login(&prefixed);
    assert!(lines[0].starts_with("__Host-session=") && lines[0].contains("; Secure; Path=/;"));
    assert!(lines[1].starts_with("_xsrf=") && lines[1].contains("; Secure"));
    assert_eq!(status(&prefixed, "/", pair(&lines)).await, 200);
}

#[test]
fn what_a_browser_would_drop_is_refused_when_configuring() {
    let builder = || AuthLayer::builder().custom_login_page();
    for (case, builder, expected) in [
        ("a space", builder().cookie_name("a b"), "cookie name"),
        ("nothing", builder().cookie_name(""), "cookie name"),
        (
            "SameSite=None alone",
            builder().cookie_attributes(|cookie| cookie.with_same_site(SameSite::None)),
            "cookie SameSite",
        ),
        (
            "Partitioned alone",
            builder().cookie_attributes(|cookie| cookie.with_partitioned()),
            "cookie Partitioned",
        ),
        (
            "a domain that is none",
            builder().cookie_attributes(|cookie| cookie.with_domain("a b")),
            "cookie domain",
        ),
    ] {
        let error = builder.build().expect_err(case).to_string();
        assert!(error.starts_with(expected), "{case}: {error}");
    }
}
