//! The plan of the house in the architecture chapter, held against the sources: imports point down, and in no cycle.

mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use self::sources::{Import, Sources};

/// Known violations. The list must shrink: a violation that is fixed must be removed from it, and none may be
/// added.
const KNOWN: &[&str] = &[];

/// The modules of each layer, from the lowest up.
const LAYERS: [&str; 6] = [
    "random deadline digest clock swappable oneshot maybe_future http_client error denial event request redirect session token password secret html cookies",
    "store",
    "authenticate verify authorizer",
    "request_policy rate_limit middleware",
    "login launch_link jupyter oauth hub_client hub_server sign_in",
    "layer extract grpc serde_values testing",
];

/// Imports within one layer: a module, and those it may import.
const SAME_LAYER: [(&str, &str); 17] = [
    ("authenticate", "verify"),
    ("cookies", "clock denial digest error random request secret"),
    ("error", "secret"),
    ("event", "denial request session"),
    ("html", "clock error"),
    ("http_client", "clock error maybe_future"),
    ("middleware", "rate_limit request_policy"),
    ("hub_client", "oauth"),
    ("hub_server", "oauth sign_in"),
    ("sign_in", "oauth"),
    ("password", "deadline error maybe_future oneshot random secret"),
    ("redirect", "request"),
    ("request", "clock denial error token"),
    ("secret", "random"),
    ("session", "clock denial digest random token"),
    ("testing", "layer"),
    ("token", "digest random secret"),
];

fn layer_of(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|modules| modules.split_whitespace().any(|named| named == module))
        .unwrap_or_else(|| panic!("module {module} is in no layer of the plan"))
}

fn allowed_imports(module: &str) -> impl Iterator<Item = &'static str> {
    SAME_LAYER
        .iter()
        .filter(move |(name, _)| *name == module)
        .flat_map(|(_, modules)| modules.split_whitespace())
}

/// Each import between files that is part of a cycle.
fn cycles(sources: &Sources) -> Vec<String> {
    let mut imported: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for Import { from, to, .. } in in_use(sources) {
        imported.entry(from).or_default().push(to);
    }
    let reaches = |start: usize, end: usize| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(file) = next.pop() {
            if seen.insert(file) {
                next.extend(imported.get(&file).into_iter().flatten());
            }
        }
        seen.contains(&end)
    };
    let names = |index: usize| &sources.files[index].name;
    let imports: BTreeSet<(usize, usize)> = in_use(sources)
        .map(|Import { from, to, .. }| (from, to))
        .collect();
    let round = imports.into_iter().filter(|&(from, to)| reaches(to, from));
    round
        .map(|(from, to)| format!("cycle: {} imports {}", names(from), names(to)))
        .collect()
}

fn in_use(sources: &Sources) -> impl Iterator<Item = Import> {
    sources
        .imports()
        .into_iter()
        .filter(|import| !import.is_passed_on)
}

/// Each import of a module that is neither in a lower layer nor an allowed one of the same layer.
fn upward(sources: &Sources) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for Import { from, to, .. } in sources.imports() {
        let (file, imported) = (&sources.files[from], sources.files[to].module());
        let module = file.module();
        if module != imported
            && layer_of(imported) >= layer_of(module)
            && !allowed_imports(module).any(|neighbour| neighbour == imported)
        {
            wrong.insert(format!("upward: {} imports {imported}", file.name));
        }
    }
    wrong.into_iter().collect()
}

/// Each file that forces or forbids inlining, or forgets values so that they are never dropped.
fn forbidden(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in &sources.files {
        let forgetting = file.names(&["mem", "forget"]).then(|| "mem::forget".to_owned());
        let words = file.inlining.iter().cloned().chain(forgetting);
        found.extend(words.map(|word| format!("forbidden: {word} in {}", file.name)));
    }
    found
}

/// Each name that two files give to a type which is `pub`: a struct, an enum, a trait or an alias.
///
/// Types of a narrower visibility are not looked at. What is `pub` can be reached from outside: the lint
/// `unreachable_pub` sees to that.
fn namesakes(sources: &Sources) -> Vec<String> {
    let mut defined: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in &sources.files {
        for name in &file.public_types {
            defined.entry(name).or_default().push(&file.name);
        }
    }
    let twice = defined.into_iter().filter(|(_, files)| files.len() > 1);
    twice
        .map(|(name, files)| format!("one name for two types: {name} in {}", files.join(", ")))
        .collect()
}

/// The names that `pub use` puts at the crate root.
fn names_at_the_root(root: &str) -> Vec<&str> {
    root.split(';')
        .filter_map(|statement| statement.split_once("pub use "))
        .flat_map(|(_, path)| match path.split_once('{') {
            Some((_, names)) => names.split([',', '}']).collect(),
            None => vec![path.rsplit("::").next().unwrap_or(path)],
        })
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn the_crate_root_has_at_most_35_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let root = std::fs::read_to_string(root).expect("the crate root");
    let names = names_at_the_root(&root);
    assert!(
        names.contains(&"AuthLayer") && names.contains(&"Grant"),
        "{names:?}"
    );
    assert!(names.len() <= 35, "{} names: {names:?}", names.len());
}

#[test]
fn names_at_the_root_are_counted_one_by_one() {
    let root = "mod a; pub use a::One; #[cfg(feature = \"x\")] pub use b::{Two, three}; use c::Private;";
    assert_eq!(names_at_the_root(root), ["One", "Two", "three"]);
}

#[test]
fn the_sources_keep_to_the_plan() {
    let sources = Sources::below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.imports().len() > 500, "the imports are found at all");
    let checks = [cycles, upward, forbidden, namesakes];
    let found: BTreeSet<String> = checks.iter().flat_map(|check| check(&sources)).collect();
    let added = found
        .iter()
        .filter(|violation| !KNOWN.contains(&violation.as_str()));
    let added: Vec<&str> = added.map(String::as_str).collect();
    assert!(
        added.is_empty(),
        "violations in src, to be fixed:\n{}",
        added.join("\n")
    );
    let mended = KNOWN.iter().filter(|&&violation| !found.contains(violation));
    let mended: Vec<&str> = mended.copied().collect();
    assert!(
        mended.is_empty(),
        "violations that no longer exist, to be removed from KNOWN:\n{}",
        mended.join("\n")
    );
}

#[test]
fn a_cycle_is_found_through_re_exports_inline_paths_and_super() {
    for (one, other) in [
        ("use crate::session::Other;", "use super::one::One;"),
        (
            "use crate::session::{self};\nfn f(o: session::Other) {}",
            "use super::One;",
        ),
        ("fn f() -> crate::session::Other {}", "fn g() { super::one::f() }"),
        (
            "fn f() { vec![super::Other] }",
            "use {crate::{session::{one::{self as first}}}};",
        ),
    ] {
        let module = "mod one;\nmod other;\npub use self::{one::One, other::Other};";
        let sources = Sources::of([
            ("session/mod.rs", module),
            ("session/one.rs", one),
            ("session/other.rs", other),
        ]);
        let expected = [
            "cycle: session/one.rs imports session/other.rs",
            "cycle: session/other.rs imports session/one.rs",
        ];
        assert_eq!(cycles(&sources), expected, "{one} {other}");
    }
}

#[test]
fn a_module_that_uses_what_it_re_exports_is_part_of_a_cycle() {
    let module = "mod one;\npub use one::One;\npub struct Two(One);";
    let sources = Sources::of([("session/mod.rs", module), ("session/one.rs", "use super::Two;")]);
    assert_eq!(cycles(&sources).len(), 2);
    let module = "mod one;\npub use one::One;\npub struct Two;";
    let sources = Sources::of([("session/mod.rs", module), ("session/one.rs", "use super::Two;")]);
    assert_eq!(cycles(&sources), [""; 0]);
}

#[test]
fn tests_may_import_anything() {
    let text = "#[cfg(test)]\nmod cases;\n#[cfg(test)]\nfn f() { crate::layer::f() }\n\
                #[cfg(test)]\nmod tests { use crate::layer::L; }";
    let cases = "use crate::layer::L;";
    let sources = Sources::of([
        ("token/mod.rs", text),
        ("token/cases.rs", cases),
        ("layer.rs", "use crate::token::T;"),
    ]);
    assert_eq!(cycles(&sources), [""; 0]);
    assert_eq!(upward(&sources), [""; 0]);
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    for text in [
        "use crate::layer::L;",
        "use crate::{digest::{D, E}, layer::{L as M}};",
        "pub use crate::layer::*;",
        "fn f() -> crate::layer::L {}",
        "fn f() { matches!(x, crate::layer::L) }",
        "use crate::L;",
        "use super::layer::L;",
        "mod inside { fn f(l: super::super::layer::L) {} }",
    ] {
        let root = "mod digest;\nmod layer;\nmod token;\npub use layer::L;";
        let sources = Sources::of([
            ("lib.rs", root),
            ("digest.rs", ""),
            ("layer.rs", ""),
            ("token.rs", text),
        ]);
        assert_eq!(upward(&sources), ["upward: token.rs imports layer"], "{text}");
    }
    let sources = Sources::of([
        ("digest.rs", ""),
        ("layer.rs", "use crate::token::T;"),
        ("token.rs", "// use crate::layer::L;\nuse crate::digest::D;"),
    ]);
    assert_eq!(upward(&sources), [""; 0]);
}

#[test]
fn a_forbidden_word_is_found() {
    for (text, word) in [
        ("#[inline(always)]\nfn f() {}", "inline(always)"),
        ("impl T { #[inline( never )] fn f() {} }", "inline(never)"),
        ("#[cfg_attr(a, inline(never))]\nfn f() {}", "inline(never)"),
        ("fn f() { std::mem::forget(x) }", "mem::forget"),
        ("use std::{mem::{forget, swap}};", "mem::forget"),
    ] {
        let sources = Sources::of([("token.rs", text)]);
        assert_eq!(
            forbidden(&sources),
            [format!("forbidden: {word} in token.rs")],
            "{text}"
        );
    }
    let text = "// mem::forget\n#[inline]\nfn f() { x.forget(\"inline(always)\") }";
    assert_eq!(forbidden(&Sources::of([("token.rs", text)])), [""; 0]);
}

#[test]
fn one_name_for_two_public_types_is_found() {
    for (one, other) in [("struct", "enum"), ("trait", "type"), ("enum", "struct")] {
        let sources = Sources::of([
            (
                "digest.rs",
                format!("pub {one} Name {{}}\npub(crate) struct Own;\npub struct Alone;"),
            ),
            (
                "token.rs",
                format!("pub {other} Name = X;\npub(crate) struct Own;"),
            ),
        ]);
        let expected = ["one name for two types: Name in digest.rs, token.rs"];
        assert_eq!(namesakes(&sources), expected, "{one} {other}");
    }
}
