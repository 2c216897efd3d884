//! Generates man pages and completions from the definitions of the commands.

use crate::cli::arguments::{Pit, Program, Reconcile, ShellArgument};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::path::Path;

/// The script that lets a shell complete a program's commands and flags.
#[must_use]
pub fn completions(shell: ShellArgument, program: Program) -> String {
    let shell = match shell {
        ShellArgument::Bash => Shell::Bash,
        ShellArgument::Zsh => Shell::Zsh,
        ShellArgument::Fish => Shell::Fish,
    };
    let mut command = match program {
        Program::LazarusReconcile => Reconcile::command(),
        Program::LazarusPit => Pit::command(),
    };
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The man page of `lazarus-reconcile`.
#[must_use]
pub fn man_page() -> String {
    render(built(Reconcile::command())).1
}

/// Writes the man pages of both programs and all their commands.
pub fn write_man_pages(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for program in [built(Reconcile::command()), built(Pit::command())] {
        let commands = program.get_subcommands().cloned().chain([program.clone()]);
        commands.map(render).try_for_each(|(name, page)| std::fs::write(directory.join(name), page))?;
    }
    Ok(())
}

/// The command after `build`, which gives its subcommands their full names.
fn built(command: Command) -> Command {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    command
}

/// The page's file name and its text. The footer is too narrow for commit and target.
fn render(command: Command) -> (String, String) {
    let command = match command.get_after_help().map(ToString::to_string) {
        // Without a blank line between them, roff joins the lines.
        Some(text) => command.after_help(text.replace("\n\n", "\n").replace('\n', "\n\n")),
        None => command,
    };
    let page = Man::new(command).source(concat!("lazarus-reconcile ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text).expect("memory can always be written");
    (page.get_filename(), String::from_utf8_lossy(&text).into_owned())
}
