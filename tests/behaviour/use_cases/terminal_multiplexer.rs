//! A terminal multiplexer's web client: named tokens, read-only ones among them, that log browsers in.

use std::{convert::Infallible, time::Duration};

use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::{
    AuthLayer,
    clock::UnixTime,
    cookies::Lifetime,
    store::{MemoryTokenStore, TokenFilter},
    testing::TestClock,
    verify::StoredTokens,
};
use tower::{Layer, ServiceExt, service_fn};

use super::{Outside, me};
use crate::common::{Answered, refused_for, request, send};

const DAY: u64 = 86_400;

/// Types `token` into the form that a browser without a login is sent to.
async fn type_in(auth: &AuthLayer, token: &str) -> Answered {
    let sent = send(auth, request("GET /terminal\naccept: text/html")).await;
    let form = sent.header("location").to_owned();
    assert_eq!(form, "/web/login?next=%2Fterminal");
    let page = send(auth, request(&format!("GET {form}\naccept: text/html"))).await;
    let xsrf = page.cookie("_xsrf=");
    let fields = "content-type: application/x-www-form-urlencoded\ncookie: ";
    let submit = request(&format!("POST {form}\n{fields}{xsrf}"));
    send(
        auth,
        submit.map(|_| Full::from(format!("{xsrf}&password={token}"))),
    )
    .await
}

#[tokio::test]
async fn named_tokens_log_in_for_four_weeks_until_they_are_revoked() -> Outside {
    let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
    let used = clock.clone();
    // user:
    let tokens = StoredTokens::new(MemoryTokenStore::new());
    let all = me("me").with_scopes(["read", "write"]).with_label("laptop");
    let (laptop, _) = tokens.issue(all).await?;
    let reading = me("me").with_scopes(["read"]).with_label("phone");
    let (phone, record) = tokens.issue(reading).await?;
    let watching = AuthLayer::builder()
        .bearer_tokens(tokens.clone())
        .allow_token_login()
        .login_path("/web/login")
        .session_lifetime(Lifetime::absolute(Duration::from_secs(28 * DAY)))
        .clock(used)
        .build()?;
    let typing = watching.require_scope("write");
    // asserted:
    let names = async || -> Result<Vec<String>, portcullis::store::StoreError> {
        let records = tokens.list(TokenFilter::owner("me")).await?;
        let labels = records.iter().filter_map(|record| record.grant().label());
        Ok(labels.map(str::to_owned).collect())
    };
    assert_eq!(names().await?.len(), 2);

    assert_eq!(type_in(&watching, "wrong").await.status, 401);
    let mut cookies = Vec::new();
    for (token, may_type) in [(&laptop, true), (&phone, false)] {
        let answer = type_in(&watching, token.expose()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (302, "/terminal")
        );
        assert!(
            answer.set_cookies()[0].contains("; Max-Age=2419200"),
            "{answer:?}"
        );
        let cookie = answer.cookie("username-localhost=");
        let by_cookie = || request(&format!("GET /\ncookie: {cookie}"));
        assert_eq!(send(&watching, by_cookie()).await.text, "me by Cookie");
        assert_eq!(send(&typing, by_cookie()).await.status == 200, may_type);
        let by_header = request(&format!("GET /\nauthorization: Bearer {}", token.expose()));
        assert_eq!(send(&typing, by_header).await.status == 200, may_type);
        cookies.push(cookie);
    }

    // The layer's line is appended to the handler's own.
    let handler = service_fn(async |_: Request<Full<Bytes>>| {
        let mut response = Response::new(Full::<Bytes>::default());
        for line in ["theme=dark; Path=/", "rows=24; Path=/"] {
            response
                .headers_mut()
                .append("set-cookie", HeaderValue::from_static(line));
        }
        Ok::<_, Infallible>(response)
    });
    let cookie = request(&format!("GET /\ncookie: {}", cookies[0]));
    let answer = watching.layer(handler).oneshot(cookie).await?;
    let lines: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert_eq!(lines[..2], ["theme=dark; Path=/", "rows=24; Path=/"]);
    assert!(
        lines.len() == 3 && lines[2].as_bytes().starts_with(b"_xsrf="),
        "{lines:?}"
    );

    // Revoking one ends the logins that were made with it, and no other.
    let [laptop, phone] = [&cookies[0], &cookies[1]].map(|cookie| format!("GET /\ncookie: {cookie}"));
    // user:
    tokens.revoke(TokenFilter::id(record.id())).await?;
    // asserted:
    assert_eq!(names().await?, ["laptop"]);
    assert_eq!(send(&watching, request(&phone)).await.status, 401);
    let ended = send(&watching, request(&format!("{phone}\naccept: text/html"))).await;
    assert!(
        ended
            .set_cookies()
            .iter()
            .any(|line| line.starts_with("username-localhost=")),
        "{ended:?}"
    );

    clock.advance(Duration::from_secs(28 * DAY - 1));
    assert_eq!(send(&watching, request(&laptop)).await.status, 200);
    clock.advance(Duration::from_secs(2));
    refused_for(
        &send(&watching, request(&laptop)).await,
        401,
        portcullis::Reason::ExpiredCookie,
    );
    Ok(())
}
