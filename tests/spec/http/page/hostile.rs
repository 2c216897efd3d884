//! Users' text on the pages stays plain text, and links lead to the configured Gitea only.

use crate::http::page::html::{links, tags, text};
use crate::http::page::scene::{before, fleet_of, id, mission, not_ready};
use lazarus::engine::snapshot::{GatewayState, GatewayView, IssueView, MissionView, Snapshot};
use lazarus::http::page;
use lazarus::mission::identity::{ForgeUrl, GatewayName, WizardName};
use lazarus::mission::record::Event;
use lazarus::mission::text::without_invisible;

/// Each sets the title or adds an element with the id `pwned` if a browser interprets any of it.
const SEEDS: [&str; 36] = [
    "<script>document.title='pwned'</script>",
    "<SCRIPT SRC=/pwned.js></SCRIPT>",
    "<img src=/pwned.png onerror=\"document.title='pwned'\">",
    "<b id=pwned>bold</b>",
    "<svg onload=document.title='pwned'><animate onbegin=document.title='pwned' attributeName=x dur=1s></svg>",
    "<iframe id=pwned srcdoc='<script>top.document.title=1</script>'></iframe>",
    "<style>body{display:none}@import'/pwned.css'</style>",
    "<link rel=stylesheet href=/pwned.css>",
    "<meta http-equiv=refresh content='0;url=/pwned'>",
    "<base href=/pwned/>",
    "<form action=/pwned><input autofocus onfocus=document.title='pwned'>",
    "<a href=\"javascript:document.title='pwned'\" id=pwned>click</a>",
    "<object data=/pwned></object><embed src=/pwned>",
    "<math><mtext></table><mglyph><style><!--</style><img id=pwned src=x onerror=document.title='pwned'>",
    "<noscript><p title=\"</noscript><img id=pwned src=/pwned onerror=document.title='pwned'>\">",
    "<![CDATA[<script>document.title='pwned'</script>]]>",
    "<!--<script>document.title='pwned'</script>-->",
    "<?xml version=\"1.0\"?><!DOCTYPE html>",
    "\" onmouseover=\"document.title='pwned'\" autofocus onfocus=\"document.title='pwned'",
    "' onclick='document.title=1' x='",
    "` onload=`document.title=1`",
    "javascript:document.title='pwned'",
    "data:text/html,<script>document.title='pwned'</script>",
    "vbscript:msgbox(1)",
    "{{ 7 * 7 }}{{ frame.host }}{{ ''.__class__ }}",
    "{% include '/etc/passwd' %}{% for x in range(99999999) %}x{% endfor %}{# #}",
    "&lt;script&gt;document.title='pwned'&lt;/script&gt;&#60;b&#62;&amp;lt;",
    "\u{202e}gpj.exe\u{202d}\u{2066}\u{2069}\u{200f}",
    "\u{e0001}\u{e0068}\u{e0069}\u{e007f}\u{200b}\u{feff}zero\u{ad}width",
    "null\0byte\u{1b}[31mred\u{1b}]8;;http://evil.example\u{7}link\u{9b}31m\u{85}\r\nx",
    "</body></html><b id=pwned>",
    "expression(alert(1));background:url(/pwned.png)}body{display:none",
    "🧙🏽‍♀️👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿 e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301} ﷽ 漢字 ぁ שלום مرحبا",
    "<<<<>>>>\"\"\"\"''''&&&&",
    "\u{ff1c}script\u{ff1e}＜b id=pwned＞ \u{2039}script\u{203a} +ADw-script+AD4-",
    "../../../../etc/passwd?x=%3Cscript%3E%00#<b id=pwned>",
];

/// Prefixes that close the context in which a text may stand.
const EXITS: [&str; 7] = ["", "\">", "'>", "</title>", "-->", "</bdi></code></td></table>", "\u{202e}]]>"];

/// All seeds behind all prefixes, and long texts: more than two hundred.
pub(super) fn strings() -> Vec<String> {
    let mut strings: Vec<String> =
        EXITS.iter().flat_map(|exit| SEEDS.iter().map(move |seed| format!("{exit}{seed}"))).collect();
    strings.push("W".repeat(10_000));
    strings.push("ﷺ".repeat(10_000));
    strings.push("<b id=pwned>".repeat(1_000));
    strings.push("漢".repeat(5_000));
    strings
}

/// A mission in which every field of text is this text.
pub(super) fn hostile_mission(number: i64, text: &str) -> MissionView {
    let text = format!("x{text}");
    MissionView {
        path: text.clone(),
        reason: Some(format!("{text} {text}")),
        problem: Some(text.clone()),
        message: Some(text.clone()),
        notes: vec![text.clone()],
        name: Some(text.clone()),
        repository: Some(text.clone()),
        issue: Some(IssueView { name: text.clone(), url: text.clone() }),
        changes: [Event { at: before(3), what: text }].into(),
        ..mission(number)
    }
}

fn hostile_fleet(text: &str) -> Snapshot {
    let mut snapshot = not_ready(fleet_of(vec![hostile_mission(1, text)]), 3);
    let text = format!("x{text}");
    snapshot.missions_root.clone_from(&text);
    snapshot.passes.errors = vec![text.clone(), text.clone()];
    snapshot.passes.forge_error = Some(text.clone());
    let name = GatewayName::parse("north-tower").unwrap();
    snapshot.gateways = vec![GatewayView { name, state: GatewayState::Down, asked_at: None, answer: text }];
    snapshot
}

fn pages(snapshot: &Snapshot, query: &str) -> [String; 2] {
    [page::fleet(snapshot, query), page::mission(snapshot, id(1)).unwrap()]
}

#[test]
fn no_text_adds_a_tag_or_an_attribute_or_takes_one_away() {
    let harmless = pages(&hostile_fleet("harmless words"), "").map(|html| tags(&html));
    let strings = strings();
    assert!(strings.len() >= 200, "{}", strings.len());
    for string in strings {
        let excerpt: String = string.chars().take(80).collect();
        for (html, expected) in pages(&hostile_fleet(&string), &string).iter().zip(&harmless) {
            assert_eq!(&tags(html), expected, "{excerpt}");
            assert_eq!(without_invisible(html).1, 0, "invisible characters of {excerpt}");
            assert!(html.len() < 70_000, "{} bytes of {excerpt}", html.len());
        }
    }
}

#[test]
fn text_is_shown_as_it_was_written() {
    let [fleet, mission] = pages(&hostile_fleet("<b>{{ 7 * 7 }}</b> &lt;i&gt; \"'"), "");
    for html in [fleet, mission] {
        assert!(text(&html).contains("x<b>{{ 7 * 7 }}</b> &lt;i&gt; \"'"), "{html}");
    }
}

#[test]
fn only_addresses_of_the_configured_forge_become_links() {
    let link = |forge: &str, url: &str| {
        let issue = Some(IssueView { name: "a/b#1".to_owned(), url: url.to_owned() });
        let mut snapshot = fleet_of(vec![MissionView { issue, ..mission(1) }]);
        snapshot.forge = ForgeUrl::parse(forge).ok();
        let [fleet, mission] = pages(&snapshot, "").map(|html| {
            links(&html).into_iter().filter(|link| !link.starts_with('/') && link != forge).collect::<Vec<_>>()
        });
        assert_eq!(fleet, mission, "{url}");
        fleet.concat()
    };
    let root = "https://git.example.com";
    for url in ["https://git.example.com/a/b/issues/1", "https://git.example.com/a/b/issues/1#x"] {
        assert_eq!(link(root, url), url);
        assert_eq!(link("", url), "", "without a forge there is no link");
    }
    assert_eq!(link("http://h:3000/git", "http://h:3000/git/a/b/issues/1"), "http://h:3000/git/a/b/issues/1");
    for url in [
        "http://git.example.com/a/b/issues/1",
        "https://git.example.com:8443/a/b/issues/1",
        "https://git.example.com.evil.example/a/b/issues/1",
        "https://git.example.com@evil.example/a/b/issues/1",
        "https://user:word@git.example.com/a/b/issues/1",
        "https://evil.example/https://git.example.com/",
        "//git.example.com/a/b/issues/1",
        "/a/b/issues/1",
        "javascript:alert(1)//https://git.example.com/a",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:https://git.example.com/1",
        "",
    ] {
        assert_eq!(link(root, url), "", "{url}");
    }
    for url in ["http://h:3000/gitolite/a", "http://h:3000/git/../a/b", "http://h:3000/"] {
        assert_eq!(link("http://h:3000/git", url), "", "{url}");
    }
    let quoted = link(root, "https://git.example.com/a\"onclick=\"x/<b>");
    assert_eq!(quoted, "https://git.example.com/a%22onclick=%22x/%3Cb%3E");
}

#[test]
fn names_with_hostile_text_do_not_parse() {
    assert!(strings().iter().all(|string| WizardName::parse(string).is_err() && GatewayName::parse(string).is_err()));
}
