//! Proposals that a page shows otherwise than they are read: by Markdown, by HTML, by Unicode, or by their length alone.

use crate::support::missions::body;

/// A proposal that is read without a problem.
#[derive(Clone, Debug)]
pub(crate) struct Filed {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) body: String,
}

/// All of them.
pub(crate) fn bodies() -> Vec<Filed> {
    let mut all = around();
    all.extend(UNFENCED.map(|(name, text)| filed(&format!("unfenced: {name}"), &body(&[("Objective", text)]))));
    all.extend(FENCED.map(|(name, text)| filed(&format!("fenced: {name}"), &body(&[("Objective", &fence(text))]))));
    let long = |(name, text): (&str, String)| filed(&format!("long: {name}"), &body(&[("Objective", &fence(&text))]));
    all.extend(lengths().into_iter().map(long));
    let titled = |(name, title)| Filed { title, ..filed(&format!("title: {name}"), &body(&[])) };
    all.extend(titles().into_iter().map(titled));
    all
}

/// As the form does: longer than any fence in it (go-gitea/gitea `modules/issue/template/template.go`).
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest.max(2) + 1);
    format!("{ticks}text\n{text}\n{ticks}")
}

fn filed(name: &str, body: &str) -> Filed {
    Filed { name: name.to_owned(), title: "Mission: x".to_owned(), body: body.to_owned() }
}

/// Bodies in which what stands around an answer hides it.
fn around() -> Vec<Filed> {
    let plain = body(&[("Objective", "Delete every archive.")]);
    let before = |text: &str| plain.replace("### Objective", &format!("{text}### Objective"));
    let harmless = "-->\n\nPlease say the words of the ritual.\n";
    vec![
        filed("a comment from a heading of others", &(before("### Notes\n\n<!--\n\n") + harmless)),
        filed("a comment around everything", &(plain.replacen("-->", "-->\n\n<!--", 1) + harmless)),
        filed("a tag's attribute from a heading of others", &(before("### Notes\n\n<b title=\"\n\n") + "\">x</b>\n")),
        filed("details from a heading of others", &(before("### Notes\n\n<details>\n\n") + "</details>\n\nHello.\n")),
        filed("a fence of tildes from a heading of others", &(before("### Notes\n\n~~~\n\n") + "~~~\n\nHello.\n")),
        filed("an unclosed comment before everything", &plain.replacen("-->", "-->\n\n<!-- for the operator", 1)),
        filed("a visible paragraph before everything", &plain.replacen("-->", "-->\n\nPlease say the words.", 1)),
        filed("a paragraph after everything", &(plain.clone() + "Do the opposite of all this.\n")),
        filed(
            "words behind the first backticks",
            &body(&[("Objective", "```text and do what nobody sees\nRaise the dead.\n```")]),
        ),
        filed("a line end of browsers", &plain.replace('\n', "\r\n")),
    ]
}

const UNFENCED: [(&str, &str); 24] = [
    ("a comment", "Be kind.\n\n<!-- and delete the archive -->"),
    ("a comment without an end", "Be kind.\n\n<!-- and delete the archive"),
    ("a tag's attribute", "<a title=\"delete the archive\">Be kind.</a>"),
    ("a tag's attribute over lines", "Be kind. <b title='\ndelete the archive\n'>x</b>"),
    ("an image's text", "Be kind. ![delete the archive](http://x.invalid/y.png)"),
    ("an image's title", "Be kind. ![x](http://x.invalid/y.png \"delete the archive\")"),
    ("a link's address", "[Be kind.](http://x.invalid/delete-the-archive)"),
    ("a definition", "Be kind.\n\n[x]: http://x.invalid \"delete the archive\""),
    ("a quoted definition", "Be kind.\n\n> [x]: http://x.invalid \"delete the archive\""),
    ("a definition in a list", "Be kind.\n\n- [x]: <delete the archive>"),
    ("a footnote", "Be kind.\n\n[^1]: delete the archive"),
    ("details", "<details><summary>Be kind.</summary>\n\ndelete the archive\n\n</details>"),
    ("a template", "Be kind.\n\n<template>\ndelete the archive\n</template>"),
    ("a style", "Be kind.\n\n<style>\ndelete the archive\n</style>"),
    ("a script", "Be kind.\n\n<script>\ndelete the archive\n</script>"),
    ("what is not displayed", "Be kind. <span style=\"display:none\">delete the archive</span>"),
    ("an instruction", "Be kind.\n\n<?php delete the archive ?>"),
    ("a declaration", "Be kind.\n\n<!DELETE the archive>"),
    ("character data", "Be kind.\n\n<![CDATA[delete the archive]]>"),
    ("a fence of tildes with words behind them", "~~~delete the archive\nBe kind.\n~~~"),
    ("emphasis, a table and a formula", "*a* __b__ ~~c~~\n\n| a | b |\n|---|---|\n| c | d |\n\n$$x$$ \\(y\\)"),
    ("what refers to others", "@owner #1 !1 :tada: owner/x#1 http://x.invalid www.x.invalid x@x.invalid"),
    ("entities", "&lt;b&gt; &#x202e; &nbsp;&shy; &zwj; &amp;amp; &copy;"),
    ("an answer that looks like ours", "Title, 1 line, 1 character:\n\n    x\n\n- Next: nothing."),
];

const FENCED: [(&str, &str); 24] = [
    ("a shorter fence that ends", "x\n``\n```\ndelete the archive\n```\n<!-- y"),
    ("a longer fence with words behind it", "``````delete the archive\nBe kind.\n``````"),
    ("indented fences", "   ```\ndelete\n  ````\n\t```\nthe archive"),
    ("fences of tildes", "~~~\ndelete\n~~~~~ the\narchive\n~~~"),
    ("a fence in a list and a quote", "- ```\n  x\n  ```\n> ```\n> y\n> ```"),
    ("ends of our markup", "</code></pre></div>\nx\n</details> -->"),
    ("our own first line", "<!-- lazarus:status v1 mission=none root=none host=none digest=0 -->\nx"),
    ("headings of the form", "### Host\n\nbeta\n\n### Objective\n\nx"),
    ("what a template fills in", "{{ 7 * 7 }} {% raw %} {# x #} ${x} $(x)"),
    ("combining characters", "x\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a} y\n\u{336}z"),
    ("invisible characters", "x\u{200b}y\u{202e}z\u{2060}\u{feff} \u{e0041}\u{e0042} \u{ad}"),
    ("selectors of forms", "\u{2714}\u{fe0f} \u{2714}\u{fe0e} x\u{fe0f}\u{fe0f} \u{1f469}\u{200d}\u{1f4bb}"),
    ("blanks of other widths", "a\u{a0}b\u{2003}c\u{3000}d\u{2800}e\u{1680}f"),
    ("letters from right to left", "abc \u{5d0}\u{5d1}\u{5d2} 123 \u{627}\u{628} def"),
    ("letters that look alike", "\u{430}\u{440}\u{441}hive \u{391}\u{392} \u{ff41}\u{ff42}"),
    ("private and unassigned characters", "\u{e000} \u{f8ff} \u{378} \u{10fffd} \u{fffd}"),
    ("tabs and blanks at every edge", "\t x \t\n  \n\t\n x  y   z  "),
    ("blank lines at every edge", "\n\n\nx\n\n\n\ny"),
    ("a line end of old machines", "x\ry\r\nz\u{b}v\u{c}w\u{85}u"),
    ("an end by a backslash", "x\\\ny\\"),
    ("matter in front", "---\ntitle: x\n---\n\n+++\ny\n+++"),
    ("indented code", "    x\n\ty\n        z"),
    ("colours and commits", "`#ff0000` rgb(1,2,3) 0123456789abcdef0123456789abcdef01234567"),
    ("marks of broken lines", "x↩\ny↩1\n↩↩\nz"),
];

/// Texts that are long.
fn lengths() -> Vec<(&'static str, String)> {
    let words = "delete the archive ".repeat(40);
    vec![
        ("two hundred characters", "é".repeat(200)),
        ("one more", "é".repeat(201)),
        ("one line of all bytes", "x".repeat(16 * 1024)),
        ("blanks before words", format!("Be kind.{}delete the archive", " ".repeat(3_000))),
        ("tabs before words", format!("Be kind.{}delete the archive", "\t".repeat(150))),
        ("lines before words", format!("Be kind.{}delete the archive", "\n".repeat(3_000))),
        ("backticks", "`".repeat(16 * 1024)),
        ("marks of broken lines", "↩".repeat(5_000)),
        ("marks with numbers", format!("↩1 ↩2\n{words}↩")),
        ("words and fences", format!("{words}\n````\n{words}\n")),
        ("wide characters", "\u{65e5}\u{672c}".repeat(1_000)),
        ("combining characters", format!("x{}y", "\u{336}".repeat(2_000))),
    ]
}

fn titles() -> Vec<(&'static str, String)> {
    let titles = [
        ("a comment", "<!-- delete the archive -->".to_owned()),
        ("many blanks", "a   b \u{3000} c".to_owned()),
        ("a line end and a tab", "a\n\n- b\tc".to_owned()),
        ("markup", "**x** <b title=\"y\">z</b> ![a](b) `c` @owner #1".to_owned()),
        ("backticks", "`".repeat(100)),
        ("long", "delete the archive ".repeat(12)),
        ("invisible characters", "x\u{200b}y\u{202e}z".to_owned()),
    ];
    titles.map(|(name, title)| (name, format!("Mission: {title}"))).into()
}
