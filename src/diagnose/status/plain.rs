//! Plain sentences from the Markdown of the status comment, for terminals and programs.

use crate::mission::text::quoted_spans;

/// The lines of a text without markup; blank lines are left out. Lines inside a fence are text of users, and stay as
/// they are.
pub(super) fn sentences(markdown: &str) -> Vec<String> {
    let (mut sentences, mut fence) = (Vec::new(), None);
    for line in markdown.lines().filter(|line| !line.is_empty()) {
        let run = line.len() - line.trim_start_matches('`').len();
        match fence {
            Some(length) if run >= length && run == line.len() => fence = None,
            Some(_) => sentences.push(line.to_owned()),
            None if run >= 3 => fence = Some(run),
            None => sentences.push(sentence(line)),
        }
    }
    sentences
}

/// One line, without its bullet. A code span becomes a quotation, and nothing inside it counts as markup.
fn sentence(line: &str) -> String {
    let line = line.trim_start();
    let (mut sentence, mut rest) = (String::new(), line.strip_prefix("- ").unwrap_or(line));
    while let Some(start) = rest.find('`') {
        let run = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let Some(length) = rest[start + run..].find(&"`".repeat(run)) else { break };
        let end = start + run + length + run;
        sentence.push_str(&without_emphasis(&rest[..start]));
        sentence.push_str(&quoted_spans(&rest[start..end]));
        rest = &rest[end..];
    }
    sentence + &without_emphasis(rest)
}

/// Text outside code spans, which is the template's own; a link becomes its text, and its address in parentheses.
fn without_emphasis(text: &str) -> String {
    let text = text.replace('*', "");
    if text.contains("](") { text.replace('[', "").replace("](", " (") } else { text }
}
