//! What a reader finds in the fences of a comment, in its text and on a page.

/// A fence, with the line that introduces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) caption: String,
    pub(crate) shown: String,
}

impl Fence {
    /// The text without the marks that break its lines, which the caption names.
    pub(crate) fn text(&self) -> String {
        let mark = self.caption.split_once("is broken at `").and_then(|(_, rest)| rest.split_once('`'));
        mark.map_or_else(|| self.shown.clone(), |(mark, _)| self.shown.replace(&format!("{mark}\n"), ""))
    }
}

/// All fences of a comment, as CommonMark reads those that stand at the edge.
pub(crate) fn fences(comment: &str) -> Vec<Fence> {
    let (mut found, mut caption, mut lines) = (Vec::new(), "", comment.split('\n'));
    while let Some(line) = lines.next() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        if ticks < 3 || line[ticks..].contains('`') {
            caption = if line.is_empty() { caption } else { line };
            continue;
        }
        let ends = |line: &str| {
            let rest = line.trim_start_matches(' ');
            let run = rest.len() - rest.trim_start_matches('`').len();
            line.len() - rest.len() < 4 && run >= ticks && rest[run..].trim_matches([' ', '\t']).is_empty()
        };
        let shown: Vec<&str> = lines.by_ref().take_while(|line| !ends(line)).collect();
        found.push(Fence { caption: caption.to_owned(), shown: shown.join("\n") });
    }
    found
}

/// The texts of all blocks of code on a page.
pub(crate) fn blocks(html: &str) -> Vec<String> {
    let block = |rest: &str| {
        let inside = rest.split_once("</pre>").expect("a block ends").0.split_once('>').expect("a tag ends").1;
        let mut parts = inside.split('<');
        let mut text = parts.next().unwrap_or_default().to_owned();
        parts.for_each(|part| text.push_str(part.split_once('>').expect("a tag ends").1));
        let text = unescaped(&text);
        text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
    };
    html.split("<pre").skip(1).map(block).collect()
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, following) = after.split_once(';').expect("an entity ends");
        plain.push_str(before);
        plain.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "nbsp" => '\u{a0}',
            name => {
                let number = name.strip_prefix('#').expect("no other names are written");
                let hexadecimal = number.strip_prefix('x').map(|digits| u32::from_str_radix(digits, 16));
                char::from_u32(hexadecimal.unwrap_or_else(|| number.parse()).unwrap()).unwrap()
            }
        });
        rest = following;
    }
    plain + rest
}
