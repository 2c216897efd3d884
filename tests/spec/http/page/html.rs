//! A strict parser for the service's pages: everything outside of tags is text, and every tag is well formed.

/// The tags of a document as they stand, without the values of their attributes.
pub(super) fn tags(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some((text, after)) = rest.split_once('<') {
        check_text(text);
        let (tag, after) = tag(after);
        tags.push(tag);
        rest = after;
    }
    check_text(rest);
    tags
}

/// A tag, and what follows it; inside the quotes of an attribute `>` is no end.
fn tag(text: &str) -> (String, &str) {
    let mut kept = String::new();
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        match (c, is_quoted) {
            ('"', _) => is_quoted = !is_quoted,
            ('>', false) => return (kept, &text[at + 1..]),
            ('<' | '\'' | '`', _) => panic!("`{c}` inside a tag: {}", &text[..at]),
            (_, true) => {}
            (_, false) => kept.push(c),
        }
    }
    panic!("a tag without an end: {}", text.chars().take(80).collect::<String>())
}

fn check_text(text: &str) {
    assert!(!text.contains(['>', '"', '\'']), "text that could end a tag or an attribute: {text}");
}

/// The visible text of a document, with a blank for each tag.
pub(super) fn text(html: &str) -> String {
    let (_, body) = html.split_once("<body").unwrap();
    let parts: Vec<&str> = body.split('<').map(|part| part.split_once('>').map_or("", |(_, text)| text)).collect();
    let entities = [("&#x2f;", "/"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&amp;", "&")];
    let joined = parts.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    entities.iter().fold(joined, |text, (entity, c)| text.replace(entity, c))
}

/// The addresses of all links, in order.
pub(super) fn links(html: &str) -> Vec<String> {
    let found = html.split("<a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    found.map(|link| link.replace("&#x2f;", "/").replace("&amp;", "&")).collect()
}
