//! `use portcullis::*` hides no crate that its users import.

/// Each of these imports is an error if a name at the crate root is that of the crate it comes from.
#[test]
fn glob_import_compiles_with_the_crates_that_users_import() {
    mod user {
        #[allow(unused_imports, reason = "what matters is that each of them is found")]
        pub(super) mod imports {
            pub(in super::super) use axum::{Router, extract::State, routing::get};
            pub(in super::super) use cookie::Cookie;
            pub(in super::super) use http::Request;
            pub(in super::super) use hyper::body::Body;
            pub(in super::super) use portcullis::*;
            pub(in super::super) use rand::Rng;
            pub(in super::super) use time::OffsetDateTime;
            pub(in super::super) use tokio::net::TcpListener;
            pub(in super::super) use tower::ServiceBuilder;
            pub(in super::super) use tracing::info;
            pub(in super::super) use url::Url;
        }
    }
    use user::imports::*;
    let app: Router = Router::new().route("/", get(|| async { "hello" }));
    let _: Router = app.layer(AuthLayer::token(Token::generate()));
}
