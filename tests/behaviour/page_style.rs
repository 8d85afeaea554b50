//! Pages have the name, the look and the language that the application gives them.

use http_body_util::Full;
use portcullis::{
    AuthLayer, AuthLayerBuilder, PasswordHash, Token,
    middleware::PageStyle,
    password::PasswordPolicy,
    verify::{MemoryPasswordStore, StoredPasswords},
};

use crate::common::{Answered, TOKEN, request, send};

const PASSWORD: &str = "purple tricycle nine";

fn builder() -> AuthLayerBuilder {
    AuthLayer::builder().token(TOKEN.parse::<Token>().expect("a token"))
}

async fn page(layer: &AuthLayer, target: &str) -> Answered {
    send(layer, request(&format!("GET {target}\naccept: text/html"))).await
}

/// The text of a page, part by part, without its style sheet.
fn texts(page: &Answered) -> Vec<&str> {
    let (_, body) = page.text.split_once("</style>").expect("a style sheet");
    let parts = body.split('<').filter_map(|part| part.split_once('>'));
    parts
        .map(|(_, text)| text)
        .filter(|text| !text.is_empty())
        .collect()
}

fn part<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("{start} in {text}"));
    rest.split_once(end).expect("an end").0
}

#[tokio::test]
async fn pages_have_name_logo_accent_and_footer_and_all_of_it_is_text() {
    let hostile = "<script>alert(\"&'1\")</script>";
    let escaped = "&lt;script&gt;alert(&quot;&amp;&#39;1&quot;)&lt;/script&gt;";
    for (logo, images) in [
        ("/static/logo.svg?a=1&b=2", "'self' data:"),
        ("data:image/png;base64,AAAA", "data:"),
    ] {
        let style = PageStyle::new(hostile)
            .with_footer(hostile)
            .with_logo(logo)
            .and_then(|style| style.with_accent("#0a7d4f"))
            .expect("a style");
        let layer = builder().page_style(style).build().expect("a layer");
        for (target, title) in [
            ("/login", "Log in"),
            ("/logout?x", "Log out?"),
            ("/launch?token=x", "This link has expired"),
        ] {
            let fetch = "sec-fetch-site: same-origin\nsec-fetch-mode: cors\nsec-fetch-dest: empty";
            let fetch = if target == "/logout?x" { fetch } else { "" };
            let page = send(
                &layer,
                request(&format!("GET {target}\naccept: text/html\n{fetch}")),
            )
            .await;
            assert_eq!(
                part(&page.text, "<title>", "</title>"),
                format!("{title} \u{b7} {escaped}"),
                "{target}"
            );
            let header = part(&page.text, "<header>", "</header>");
            assert_eq!(
                header,
                format!("<img alt=\"\" src=\"{}\">{escaped}", logo.replace('&', "&amp;"))
            );
            assert_eq!(part(&page.text, "<footer class=\"soft\">", "</footer>"), escaped);
            let sheet = part(&page.text, "<style>", "</style>");
            assert!(sheet.contains("background: #0a7d4f; color: #fff;"));
            let policy = page.header("content-security-policy");
            assert!(
                policy.starts_with(&format!(
                    "default-src 'none'; img-src {images}; style-src 'sha256-"
                )),
                "{policy}"
            );
        }
    }
}

#[tokio::test]
async fn every_text_of_the_login_logout_and_launch_pages_can_be_translated() {
    let style = || {
        let texts = PageStyle::texts().map(|text| (text, "\u{5b57}"));
        PageStyle::default().with_texts("zh", texts).expect("known texts")
    };
    let hash = PasswordHash::hash(&PASSWORD.into()).expect("a good password");
    let users = MemoryPasswordStore::new([(portcullis::Identity::new("a"), hash.clone())]).expect("users");
    let by_token = builder()
        .page_style(style())
        .remember_me()
        .build()
        .expect("a layer");
    let by_name = AuthLayer::builder()
        .password_verifier(StoredPasswords::new(users))
        .page_style(style())
        .build()
        .expect("a layer");
    let changing = builder()
        .password(hash)
        .allow_password_change(PasswordPolicy::new(), |_: &PasswordHash| Ok(()).into())
        .page_style(style())
        .build()
        .expect("a layer");
    let mut pages = Vec::new();
    for layer in [&by_token, &by_name, &changing] {
        pages.push(page(layer, "/login").await);
        let xsrf = pages.last().expect("a page").cookie("_xsrf=");
        let form = format!("POST /login\ncontent-type: application/x-www-form-urlencoded\ncookie: {xsrf}");
        for _ in 0..20 {
            let body = Full::from(format!("{xsrf}&username=a&password=wrong"));
            pages.push(send(layer, request(&form).map(|_| body)).await);
        }
        pages.push(send(layer, request(&form).map(|_| Full::from("password=wrong"))).await);
        pages.push(
            send(
                layer,
                request("GET /logout\naccept: text/html\nsec-purpose: prefetch"),
            )
            .await,
        );
        pages.push(page(layer, "/logout").await);
        pages.push(page(layer, "/launch?token=x").await);
    }
    let too_large = "x".repeat(17_000);
    for form in ["", "remove_cookies=1"] {
        let lines = format!(
            "POST /logout\ncontent-type: application/x-www-form-urlencoded\nsec-fetch-site: same-origin\ncookie: a={too_large}"
        );
        pages.push(send(&by_token, request(&lines).map(|_| Full::from(form))).await);
    }
    pages.push(page(&changing, "/login?change=password").await);
    let kinds: std::collections::BTreeSet<u16> = pages.iter().map(|page| page.status.as_u16()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [200, 401, 403, 429, 431]);
    for page in pages {
        assert!(page.text.contains("<html lang=\"zh\">"), "{page:?}");
        let english = |text: &str| text.contains(|character: char| character.is_ascii_alphabetic());
        let left: Vec<_> = texts(&page).into_iter().filter(|text| english(text)).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
