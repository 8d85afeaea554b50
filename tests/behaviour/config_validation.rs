//! A configuration that cannot be used is refused at `build`, or by the value it is made of.

use portcullis::{
    AllowedHosts, AllowedOrigins, AuthLayer, BaseUrl, Keyring, Secret, Token, TokenSet, TrustedProxies,
    middleware::Challenge,
};

use crate::common::TOKEN;

#[test]
fn a_layer_without_or_with_contradicting_authentication_is_rejected() {
    let nothing = AuthLayer::builder().build().expect_err("nothing gives access");
    assert_eq!(
        nothing.to_string(),
        "authenticators: expected a way to log in: token(), bearer_tokens(), password(), password_verifier(), \
         sign_in_with(), authenticator() or custom_login_page(); \
         danger_allow_anonymous() admits every request"
    );
    for builder in [
        AuthLayer::builder().token(Token::generate()),
        AuthLayer::builder().custom_login_page(),
    ] {
        let both = builder.danger_allow_anonymous().build().expect_err("both");
        assert!(
            both.to_string().contains("no other way to log in has an effect"),
            "{both}"
        );
    }
}

#[test]
fn an_empty_token_is_an_error_and_never_an_open_door() {
    for empty in ["", " ", "\n"] {
        assert!(empty.parse::<Token>().is_err(), "{empty:?}");
    }
    let grant = portcullis::Grant::new(portcullis::Identity::new("me"));
    for list in ["", " ", ",", "a,,b", "a,"] {
        assert!(
            TokenSet::from_list(&Secret::from(list), grant.clone()).is_err(),
            "{list:?}"
        );
    }
}

#[test]
fn every_value_is_proven_before_the_builder_takes_it() {
    assert!("//evil.example/".parse::<BaseUrl>().is_err());
    assert!(AllowedHosts::from_list(["http://a"]).is_err());
    assert!(AllowedOrigins::parse(["*"]).is_err());
    assert!(TrustedProxies::parse("10.0.0.0/33").is_err());
    assert!(Challenge::bearer("a\"b").is_err());
    assert!(Keyring::from_secret(Secret::from("short")).is_err());
    for path in ["login", "//login", "/log in", "/login?x", ""] {
        let built = AuthLayer::builder()
            .token(Token::generate())
            .login_path(path)
            .build();
        assert!(built.is_err(), "{path:?}");
    }
}

#[test]
fn the_order_of_the_setters_makes_no_difference() {
    let token = || TOKEN.parse::<Token>().expect("a token");
    let base = || "/base/".parse::<BaseUrl>().expect("a base");
    let one = AuthLayer::builder()
        .token(token())
        .base_url(base())
        .without_session_extension()
        .build()
        .expect("a layer");
    let other = AuthLayer::builder()
        .without_session_extension()
        .base_url(base())
        .token(token())
        .build()
        .expect("a layer");
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}
