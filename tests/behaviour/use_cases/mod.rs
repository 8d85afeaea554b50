//! The code that users of the crate write: a file per user, each in a few lines.
//!
//! What a user writes stands between the comments `// user:` and `// asserted:`; imports, and what was there before
//! (handlers, a database), are not counted.

mod analytics_engine;
mod app_server;
mod app_server_launch_link;
mod compile_cache;
mod database_server;
mod database_server_store;
mod desktop_agent;
mod hub_service;
mod kernel_supervisor;
mod mcp_server;
mod model_server;
mod notebook_server;
mod raw_client;
mod small_hub;
mod terminal_multiplexer;
mod vector_database;

use portcullis::{Grant, Identity};

/// The end of a test that may fail on its way.
type Outside = Result<(), Box<dyn std::error::Error>>;

fn me(name: &str) -> Grant {
    Grant::new(Identity::new(name))
}

/// The users, by the numbers of their rows.
const USERS: &[(u8, &str, &str)] = &[
    (1, "notebook_server", include_str!("notebook_server.rs")),
    (2, "kernel_supervisor", include_str!("kernel_supervisor.rs")),
    (3, "app_server", include_str!("app_server.rs")),
    (
        3,
        "app_server_launch_link",
        include_str!("app_server_launch_link.rs"),
    ),
    (4, "terminal_multiplexer", include_str!("terminal_multiplexer.rs")),
    (5, "model_server", include_str!("model_server.rs")),
    (6, "compile_cache", include_str!("compile_cache.rs")),
    (7, "database_server", include_str!("database_server.rs")),
    (
        7,
        "database_server_store",
        include_str!("database_server_store.rs"),
    ),
    (8, "desktop_agent", include_str!("desktop_agent.rs")),
    (9, "analytics_engine", include_str!("analytics_engine.rs")),
    (10, "vector_database", include_str!("vector_database.rs")),
    (11, "mcp_server", include_str!("mcp_server.rs")),
    // It needs a server of PostgreSQL's, so it runs with the peers.
    (
        12,
        "history_sync",
        include_str!("../../interop/tests/history_sync.rs"),
    ),
    (13, "hub_service", include_str!("hub_service.rs")),
    (14, "small_hub", include_str!("small_hub.rs")),
];

/// The lines that a user writes, all pieces of a file together.
fn lines_of_the_user(source: &str) -> usize {
    let pieces = source.split("// user:\n").skip(1);
    pieces
        .map(|piece| {
            let (written, _) = piece.split_once("// asserted:\n").expect("a piece has an end");
            written.lines().filter(|line| !line.trim().is_empty()).count()
        })
        .sum()
}

#[test]
fn each_user_writes_fewer_than_twenty_lines() {
    for (row, name, source) in USERS {
        let lines = lines_of_the_user(source);
        assert!((1..20).contains(&lines), "row {row}, {name}: {lines} lines");
        assert!(
            source.contains("#[tokio::test") || source.contains("#[test]"),
            "{name}"
        );
    }
}

#[test]
fn the_counter_of_lines_sees_every_piece() {
    let source = "// user:\na\n\n  b\n// asserted:\nc\n// user:\nd\n// asserted:\n";
    assert_eq!(lines_of_the_user(source), 3);
}

#[test]
fn no_row_is_forgotten() {
    let rows: Vec<u8> = USERS.iter().map(|(row, ..)| *row).collect();
    let missing: Vec<u8> = (1..=14).filter(|row| !rows.contains(row)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
