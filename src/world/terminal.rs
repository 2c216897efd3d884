//! Prints tables that fit the terminal, with colours if supported.

use crate::mission::text::{Printable, printable_lines};
use rustix::termios::tcgetwinsize;
use std::fmt::{self, Write};
use std::io::IsTerminal;

/// The least characters of a shortened column.
const COLUMN_CHARS_MIN: usize = 8;

/// The properties of an output.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    /// The characters per line; none if the output is not a terminal.
    pub width: Option<usize>,
    /// Whether colours are used.
    pub has_colours: bool,
}

/// The rating of a text, shown by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// No colour.
    Plain,
    /// Green.
    Good,
    /// Yellow.
    Doubtful,
    /// Red.
    Bad,
}

impl Tone {
    fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Good => Some(32),
            Self::Doubtful => Some(33),
            Self::Bad => Some(31),
        }
    }
}

impl Terminal {
    /// The properties of standard output. `no_color` is the variable `NO_COLOR`, which disables colours unless it is
    /// empty (no-color.org).
    #[must_use]
    pub fn of_stdout(no_color: Option<&str>) -> Self {
        let out = std::io::stdout();
        if !out.is_terminal() {
            return Self::default();
        }
        let width = tcgetwinsize(&out).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        Self { width, has_colours: no_color.is_none_or(str::is_empty) }
    }
}

/// Text for standard output. Everything written into it is escaped, so that only our colours control a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed(String);

impl Printed {
    /// Adds text in a colour.
    pub fn paint(&mut self, text: &str, tone: Tone, screen: Terminal) {
        let text = printable_lines(text);
        match tone.code().filter(|_| screen.has_colours) {
            Some(code) => {
                let _ = write!(self.0, "\x1b[{code}m{text}\x1b[0m");
            }
            None => self.0.push_str(&text),
        }
    }

    /// Adds printable text.
    pub fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Write for Printed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&printable_lines(text))
    }
}

impl From<&str> for Printed {
    fn from(text: &str) -> Self {
        Self(printable_lines(text))
    }
}

impl From<&String> for Printed {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

/// Rows of columns. Only the first column has a colour.
#[derive(Clone, Debug)]
pub struct Table<const N: usize> {
    /// The headings of the columns.
    pub head: [&'static str; N],
    /// The rows with the tone of their first column.
    pub rows: Vec<(Tone, [String; N])>,
}

impl<const N: usize> Table<N> {
    /// Formats the table. If it is too wide, the widest columns are cut and end in `…`.
    #[must_use]
    pub fn render(&self, screen: Terminal) -> Printed {
        let mut text = Printed::default();
        let head = (Tone::Plain, self.head.map(str::to_owned));
        let printable = |row: &[String; N]| row.each_ref().map(|cell| Printable::new(cell).to_string());
        let rows: Vec<_> = [&head].into_iter().chain(&self.rows).map(|(tone, row)| (*tone, printable(row))).collect();
        let widths = widths(&rows, screen.width);
        for (tone, row) in &rows {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| fitted(cell, width)).collect();
            let line = cells.join("  ");
            let (first, rest) = line.split_at(cells.first().map_or(0, String::len));
            // Trailing blanks are invisible.
            let first = if rest.trim().is_empty() { first.trim_end() } else { first };
            text.paint(first, *tone, screen);
            let _ = writeln!(text, "{}", rest.trim_end());
        }
        text
    }
}

fn widths<const N: usize>(rows: &[(Tone, [String; N])], fit: Option<usize>) -> [usize; N] {
    let column = |at: usize| rows.iter().map(move |(_, row)| row[at].chars().count());
    let mut widths: [usize; N] = std::array::from_fn(|at| column(at).max().unwrap_or_default());
    let Some(fit) = fit else { return widths };
    while widths.iter().sum::<usize>() + 2 * N.saturating_sub(1) > fit {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > COLUMN_CHARS_MIN) else { break };
        *widest -= 1;
    }
    widths
}

fn fitted(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:width$}");
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}
