//! The allocations of a request in the layer: the same cases whose instructions the bench counts.

// Budgets of instructions are the bench's.
#[allow(dead_code)]
#[path = "../../benches/case/mod.rs"]
mod case;
#[path = "../../benches/paths/mod.rs"]
mod paths;

use std::hint::black_box;

use http::{Request, StatusCode};
use portcullis::{
    AuthLayer, Grant, Identity, MaybeFuture, RequestHead, Token, TokenSet, middleware::Decision,
    store::MemoryTokenStore, verify::StoredTokens,
};

use self::case::Case;

/// The allocations that `work` makes on this thread; one that grows counts as a new one.
fn count(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

/// The allocations of one request through `case`.
fn per_request(case: &Case) -> u64 {
    const ROUNDS: u64 = 16;
    let mut allocations = 0;
    case.run(ROUNDS as usize, &mut |send| allocations = count(send));
    assert_eq!(allocations % ROUNDS, 0, "{}: not the same each time", case.name());
    allocations / ROUNDS
}

#[test]
fn the_counter_counts_every_allocation_of_its_thread_alone() {
    assert_eq!(count(|| ()), 0);
    assert_eq!(count(|| drop(black_box(vec![Box::new(1), Box::new(2)]))), 3);
    let grown = || {
        let mut bytes = black_box(Vec::with_capacity(1));
        bytes.extend_from_slice(b"more than one");
        drop(black_box(bytes));
    };
    assert_eq!(count(grown), 2);
    let elsewhere = std::thread::spawn(|| (0..1_000).for_each(|byte| drop(black_box(vec![byte]))));
    let here = count(|| while !black_box(elsewhere.is_finished()) {});
    elsewhere.join().expect("it allocates and ends");
    assert_eq!(here, 0);
}

#[test]
fn each_path_allocates_exactly_what_its_row_says() {
    let cases = paths::all();
    let rows = cases.iter().filter(|case| case.is_built() && case.is_listed());
    for (case, allocations) in rows.filter_map(|case| Some((case, case.allocations()?))) {
        assert_eq!(per_request(case), allocations, "{}", case.name());
    }
}

#[test]
fn ten_thousand_wrong_tokens_leave_nothing_behind() {
    let token = || "s3cret".parse::<Token>().expect("a token");
    let set = TokenSet::new([(token(), Grant::new(Identity::new("me")))]).expect("a set");
    for (name, layer) in [
        ("one token", AuthLayer::token(token())),
        ("a set", AuthLayer::bearer_tokens(set)),
        (
            "a store",
            AuthLayer::bearer_tokens(StoredTokens::new(MemoryTokenStore::new())),
        ),
    ] {
        let flood = |from: usize, count: usize| {
            for number in from..from + count {
                let request = Request::get("/")
                    .header("host", "localhost")
                    .header("authorization", format!("Bearer wrong-{number}"))
                    .body(());
                let request = request.expect("a request");
                let MaybeFuture::Ready(Decision::Respond(answer)) = layer.decide(RequestHead::new(&request))
                else {
                    panic!("{name}: expected a refusal at once");
                };
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
            }
        };
        // Memory that is allocated once, by the first requests.
        flood(0, 100);
        let flooded = allocation_counter::measure(|| flood(100, 10_000));
        assert_eq!(flooded.bytes_current, 0, "{name}: {flooded:?}");
        assert!(flooded.bytes_max < 16 * 1024, "{name}: {flooded:?}");
    }
}
