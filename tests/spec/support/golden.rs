//! Long texts that are compared whole with a file.

use std::path::Path;

/// Compares with `tests/fixtures/<name>`; with `BLESS=1` in the environment the file is written instead.
pub(crate) fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((line, (is, should))) =
        (1..).zip(text.lines().zip(expected.lines())).find(|(_, (is, should))| is != should)
    {
        panic!("{name}:{line}: is\n  {is}\nand should be\n  {should}\nBLESS=1 cargo test writes the file anew");
    }
    assert_eq!(text.len(), expected.len(), "{name} has another length; BLESS=1 cargo test writes the file anew");
}
