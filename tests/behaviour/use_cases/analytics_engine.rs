//! An analytics engine over HTTP, gRPC and Flight: many keys, none of them empty, and refusals counted by reason.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use portcullis::{AuthLayer, Event, Reason, Secret, TokenSet};

use super::{Outside, me};
use crate::common::{request, send};

#[tokio::test]
async fn it_counts_refusals_by_reason_over_every_protocol() -> Outside {
    let counters: Arc<[AtomicU64; 16]> = Arc::default();
    // user:
    let keys = TokenSet::from_list(&Secret::from("first-key,second-key,third-key"), me("client"))?;
    let refused = Arc::clone(&counters);
    let auth = AuthLayer::builder()
        .bearer_tokens(keys)
        .observer(move |event: &Event<'_>| {
            if let Event::Denied { reason, .. } = event {
                refused[*reason as usize].fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()?;
    // asserted:
    let flight = "POST /arrow.flight.protocol.FlightService/DoGet\ncontent-type: application/grpc";
    for (lines, status, grpc) in [
        ("GET /?query=SELECT+1", 401, ""),
        ("GET /\nauthorization: Bearer x", 401, ""),
        (&*format!("{flight}\nauthorization: Bearer y"), 200, "16"),
        (
            &*format!("{flight}+proto\nauthorization: Bearer third-key"),
            200,
            "",
        ),
        ("POST /\nauthorization: Bearer first-key", 200, ""),
    ] {
        let answer = send(&auth, request(lines)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("grpc-status")),
            (status, grpc),
            "{lines}"
        );
    }
    let counted = |reason: Reason| counters[reason as usize].load(Ordering::Relaxed);
    assert_eq!(
        (counted(Reason::MissingCredential), counted(Reason::UnknownToken)),
        (1, 2)
    );
    assert_eq!(
        counters
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum::<u64>(),
        3
    );
    Ok(())
}

#[test]
fn it_does_not_start_with_an_empty_key() {
    for list in ["", " ", "first-key,,third-key", "first-key, "] {
        let error = TokenSet::from_list(&Secret::from(list), me("client")).expect_err(list);
        assert!(!error.to_string().contains("first-key"), "{error}");
    }
}
