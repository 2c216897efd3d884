//! Prints the demo on a terminal: chapters, issues with labels and comments, and the files of a cell.

use serde_json::Value;
use std::io::{self, Write};
use std::path::Path;

/// The output of the demo.
#[derive(Debug)]
pub(super) struct DemoStage<W> {
    out: W,
    has_colours: bool,
    chapter: u32,
}

impl<W: Write> DemoStage<W> {
    pub(super) fn new(out: W, has_colours: bool) -> Self {
        Self { out, has_colours, chapter: 0 }
    }

    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    pub(super) fn chapter(&mut self, title: &str) -> io::Result<()> {
        self.chapter += 1;
        let heading = format!("{}. {title}", self.chapter);
        let heading = self.styled("1", &heading);
        writeln!(self.out, "\n{heading}\n")
    }

    /// Prints the output of a command.
    pub(super) fn printed(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            writeln!(self.out, "   {line}")?;
        }
        Ok(())
    }

    /// Prints an issue with its labels and comments.
    pub(super) fn issue(&mut self, issue: &Value, comments: &Value) -> io::Result<()> {
        let title = issue["title"].as_str().unwrap_or_default();
        let heading = self.styled("1", &format!("#{} {title}", issue["number"]));
        writeln!(self.out, "   {heading}")?;
        let labels: Vec<String> =
            issue["labels"].as_array().into_iter().flatten().map(|label| self.label(label)).collect();
        writeln!(self.out, "   {}", labels.join(" "))?;
        for comment in comments.as_array().into_iter().flatten() {
            let poster = comment["user"]["login"].as_str().unwrap_or_default();
            writeln!(self.out, "   │ {poster} commented:")?;
            for line in visible(comment["body"].as_str().unwrap_or_default()) {
                let line = self.emphasised(&line);
                writeln!(self.out, "   │ {line}")?;
            }
        }
        writeln!(self.out)
    }

    fn label(&self, label: &Value) -> String {
        let name = label["name"].as_str().unwrap_or_default();
        let colour = u32::from_str_radix(label["color"].as_str().unwrap_or_default(), 16).unwrap_or_default();
        let [_, red, green, blue] = colour.to_be_bytes();
        // Dark text on a light label, as in Gitea.
        let is_light = u32::from(red) * 3 + u32::from(green) * 6 + u32::from(blue) > 1_400;
        let text = if is_light { 30 } else { 97 };
        if self.has_colours {
            self.styled(&format!("{text};48;2;{red};{green};{blue}"), &format!(" {name} "))
        } else {
            format!("[{name}]")
        }
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.has_colours { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn emphasised(&self, line: &str) -> String {
        let parts = line.split("**").enumerate();
        parts.map(|(at, part)| if at % 2 == 1 { self.styled("1", part) } else { part.to_owned() }).collect()
    }

    /// Prints the files of a cell, and the content of two of them.
    pub(super) fn cell(&mut self, cell: &Path) -> io::Result<()> {
        writeln!(self.out, "   {}", cell.display())?;
        for directory in sorted(cell)? {
            writeln!(self.out, "     {}/", name(&directory))?;
            for file in sorted(&directory)? {
                writeln!(self.out, "       {} ({} bytes)", name(&file), file.metadata()?.len())?;
            }
        }
        for path in ["state/heartbeat.json", "logs/daemon.log"] {
            writeln!(self.out, "\n   {path}")?;
            self.printed(&std::fs::read_to_string(cell.join(path))?)?;
        }
        Ok(())
    }
}

fn sorted(directory: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The visible part of a comment: without HTML comments, and with folded sections folded.
fn visible(body: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_folded = false;
    for line in body.lines() {
        if let Some(summary) = line.strip_prefix("<details><summary>") {
            lines.push(format!("▸ {}", summary.trim_end_matches("</summary>")));
            is_folded = true;
        } else if line == "</details>" {
            is_folded = false;
        } else if !is_folded && !line.starts_with("<!--") {
            lines.push(line.to_owned());
        }
    }
    lines
}
