//! Every path of a request through the layer, and what it may cost.

mod cookies;
mod hub;
mod tokens;

use http::StatusCode;

use self::cookies::Form::{Encrypted, Signed};
use super::case::{Case, Rows, Sent, layer, pair};

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// The table. `pair` is a row without guards and a row with them; budgets are in that order. `benches/README.md` explains
/// which are wider than the design's, and why.
pub(crate) fn all() -> Vec<Case> {
    let rows: Vec<Rows> = vec![
        pair("token/header/pass", tokens::shared)
            .within([1_400, 1_740])
            .allocating(0),
        layer("token/header/session", || tokens::with_session(true))
            .over("token/header/pass+guards")
            .within([900])
            .allocating(3),
        pair("token/header/refused", tokens::refused)
            .answering(StatusCode::UNAUTHORIZED)
            .within([3_920, 4_260])
            .allocating(6),
        layer("token/header/refusal-copied", tokens::refusal_copied)
            .answering(StatusCode::UNAUTHORIZED)
            .allocating(5),
        pair("token/set-of-1/pass", |guards| tokens::set(1, guards))
            .within([2_080, 2_400])
            .hashing(1)
            .allocating(0),
        pair("token/set-of-100/pass", |guards| tokens::set(100, guards))
            .within([2_080, 2_400])
            .hashing(1)
            .allocating(0),
        pair("token/set-of-10000/pass", |guards| tokens::set(10_000, guards))
            .within([2_080, 2_400])
            .hashing(1)
            .allocating(0),
        layer("token/jwt-verified-before/pass+guards", tokens::jwt)
            .within([2_860])
            .hashing(4)
            .allocating(0),
        pair("cookie/signed-80/pass", |guards| {
            cookies::opening(Signed, 80, 3, guards)
        })
        .within([4_370, 6_540])
        .hashing(4)
        .allocating(0),
        pair("cookie/signed-171/pass", |guards| {
            cookies::opening(Signed, 171, 3, guards)
        })
        .hashing(6)
        .allocating(0),
        pair("cookie/signed-80/forged", cookies::forged)
            .answering(StatusCode::UNAUTHORIZED)
            .hashing(4),
        pair("cookie/signed-80/forged-optional", cookies::forged_optional)
            .within([3_300, 3_650])
            .hashing(4),
        pair("cookie/signed-80/absent", cookies::absent)
            .within([1_570, 1_920])
            .allocating(0),
        layer("cookie/signed-80/among-20", || {
            cookies::opening(Signed, 80, 20, false)
        })
        .over("cookie/signed-80/pass")
        .within([500])
        .allocating(0),
        pair("cookie/encrypted-80/pass", |guards| {
            cookies::opening(Encrypted, 80, 3, guards)
        })
        .within([5_200, 6_660])
        .allocating(0),
        layer("cookie/identity/pass+guards", cookies::logged_in)
            .within([9_500])
            .hashing(10)
            .allocating(0),
        layer("session/in-memory/pass+guards", cookies::session_in_memory)
            .within([5_310])
            .allocating(1),
        layer("hub/token/cached+guards", || hub::token(true))
            .within([2_570])
            .hashing(1)
            .allocating(0),
        layer("hub/cookie/cached+guards", || hub::cookie(true))
            .within([8_740])
            .hashing(5)
            .allocating(0),
    ];
    rows.into_iter().flatten().collect()
}

fn get() -> Sent {
    Sent::get("/api/contents")
}
