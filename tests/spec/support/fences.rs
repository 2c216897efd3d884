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
