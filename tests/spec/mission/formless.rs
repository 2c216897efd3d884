//! A proposal that was filed without the form: its author is led to the form, and shown what it would have made of it.

use crate::support::forge::{FORM_PATH, Forge};
use crate::support::host::{Host, changes};
use crate::support::repository::Repository;
use crate::support::stories;
use lazarus::mission::proposal::form::{FORM, Form};
use lazarus::mission::proposal::form_body::FormAnswers;
use reqwest::Method;
use serde_json::json;

stories![
    the_author_gets_a_link_to_the_form_and_may_answer_manually,
    a_body_with_a_form_heading_gets_a_list_of_missing_answers
];

/// Files an issue by the API, to which no form applies; its number.
async fn file(repository: &Repository, body: &str) -> i64 {
    let issue = json!({ "title": "Mission: by hand", "body": body });
    let path = format!("{}/issues", repository.path());
    let (status, filed) = repository.forge.call("reader", Method::POST, &path, issue).await;
    assert_eq!(status, 201, "{filed}");
    filed["number"].as_i64().unwrap()
}

async fn the_author_gets_a_link_to_the_form_and_may_answer_manually(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    let number = file(&repository, "Please raise the dead.").await;
    let marked = file(&repository, "<!-- lazarus:mission-proposal v1 -->\n\n### Steps\n\nSay the words.").await;
    repository.put_label(number, "kind/mission-proposal").await;
    host.once(&repository).await;
    let page = format!("{}/{}/issues/new?template={FORM_PATH}", forge.url, repository.name);
    for number in [number, marked] {
        let comment = repository.comment(number).await;
        assert!(comment.contains("this issue was not filed with the form") && comment.contains(&page), "{comment}");
        for field in &Form::embedded().fields {
            assert!(comment.contains(&format!("\n### {}\n", field.label)), "{}: {comment}", field.label);
        }
    }
    let cookie = forge.log_in("reader").await;
    let form = forge.page(page.strip_prefix(&forge.url).unwrap(), &cookie).await;
    assert!(form.contains("form-field-objective"), "the link leads to the form: {form}");
    let comment = repository.comment(number).await;
    let (_, shown) = comment.split_once("````text\n").unwrap();
    let (shown, _) = shown.split_once("\n````\n").unwrap();
    let answered = shown.replace("```text\n\n", "```text\nRaise the dead.\n").replace("[ ]", "[x]");
    repository.edit("reader", number, |_| answered.clone()).await;
    host.once(&repository).await;
    assert!(repository.labels(number).await.contains(&"mission/active".to_owned()));
    assert!(!repository.comment(number).await.contains(&page));
    host.once(&repository).await;
    assert_eq!((host.cells().len(), changes(&host.once(&repository).await)), (1, 0));
}

async fn a_body_with_a_form_heading_gets_a_list_of_missing_answers(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    let number = file(&repository, "### Objective\n\nRaise the dead.\n").await;
    repository.put_label(number, "kind/mission-proposal").await;
    host.once(&repository).await;
    let comment = repository.comment(number).await;
    assert!(comment.contains("2 answers need correcting") && !comment.contains("issues/new"), "{comment}");
}

#[test]
fn the_template_for_manual_answers_equals_an_empty_form() {
    let form = Form::embedded();
    let answers = FormAnswers::read(form, &form.unanswered());
    assert!(answers.has_headings && answers.problems.is_empty());
    let answered: Vec<&str> = form.fields.iter().map(|field| answers.get(&field.id).unwrap_or_default()).collect();
    let box_of = FORM.rsplit_once("- label: \"").unwrap().1.split_once('"').unwrap().0;
    assert_eq!(answered, ["", "", "5 minutes", "", "", "", "", &format!("- [ ] {box_of}")]);
    assert!(!FormAnswers::read(form, "### Steps\n\nSay the words.\n").has_headings);
    assert!(FormAnswers::read(form, "### Host\n\n_No response_\n").has_headings, "an empty answer is one, too");
}
