//! gitea-sdk, an independent client, reads the sandbox: proof that the sandbox speaks the API of Gitea.

#[cfg(test)]
mod tests {
    use gitea_sdk::error::TeatimeErrorKind;
    use gitea_sdk::model::issues::{IssueType, State, StateType};
    use gitea_sdk::{Auth, Client};
    use lazarus::sandbox::Sandbox;

    async fn sandbox() -> (Sandbox, Client) {
        let sandbox = Sandbox::start().await.unwrap();
        sandbox.user("owner");
        let client = Client::new(sandbox.url(), Auth::Token(sandbox.token("owner", &["all"])));
        (sandbox, client)
    }

    #[tokio::test]
    async fn it_reads_the_account_and_the_repository() {
        let (_sandbox, client) = sandbox().await;
        assert_eq!(client.user().current().send(&client).await.unwrap().login, "owner");
        let made = client.user().create_repo("missions").send(&client).await.unwrap();
        let read = client.repos("owner", "missions").get().send(&client).await.unwrap();
        assert_eq!((read.id, read.full_name.as_str()), (made.id, "owner/missions"));
        assert!(read.has_issues && !read.archived && read.owner.login == "owner");
    }

    #[tokio::test]
    async fn it_reads_issues_by_pages_with_their_labels() {
        let (_sandbox, client) = sandbox().await;
        client.user().create_repo("missions").send(&client).await.unwrap();
        let label = r##"{ "name": "health/stale", "color": "#d4a72c", "exclusive": true }"##;
        let request = client.post("repos/owner/missions/labels").header("content-type", "application/json").body(label);
        client.make_request(request.build().unwrap()).await.unwrap();
        for at in 1..=60 {
            let new = client.issues("owner", "missions").create(format!("Mission: {at}")).body("x".to_owned());
            let issue = new.labels(vec![1]).send(&client).await.unwrap();
            assert_eq!((issue.number, issue.labels[0].name.as_str(), issue.labels[0].exclusive), (at, "health/stale", true));
        }
        let list = || client.issues("owner", "missions").list().state(State::Open).issue_type(IssueType::Issues);
        let (first, second) = (list().limit(100).page(1).send(&client).await.unwrap(), list().limit(50).page(2).send(&client).await.unwrap());
        assert_eq!((first.len(), first[0].number, second.len(), second[9].number), (50, 60, 10, 1));
        let one = client.issues("owner", "missions").get(7).send(&client).await.unwrap();
        assert_eq!((one.title.as_str(), one.user.login.as_str(), one.comments), ("Mission: 7", "owner", 0));
        assert!(matches!(one.state, StateType::Open));
        let edited = client.issues("owner", "missions").edit(7).body("y".to_owned()).send(&client).await.unwrap();
        assert_eq!(edited.body.as_deref(), Some("y"));
    }

    #[tokio::test]
    async fn it_posts_reads_edits_and_deletes_comments() {
        let (_sandbox, client) = sandbox().await;
        client.user().create_repo("missions").send(&client).await.unwrap();
        let issues = client.issues("owner", "missions");
        issues.create("Mission: talk").send(&client).await.unwrap();
        let posted = issues.comments().create(1, "hello").send(&client).await.unwrap();
        issues.comments().edit(posted.id, "goodbye").send(&client).await.unwrap();
        let read = issues.comments().list(1).send(&client).await.unwrap();
        assert_eq!((read.len(), read[0].body.as_str(), read[0].user.login.as_str()), (1, "goodbye", "owner"));
        issues.comments().delete(posted.id).send(&client).await.unwrap();
        assert_eq!(issues.comments().list(1).send(&client).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn it_understands_a_refusal() {
        let (sandbox, client) = sandbox().await;
        let missing = client.repos("owner", "none").get().send(&client).await.unwrap_err();
        assert_eq!(missing.status_code.as_u16(), 404, "{missing:?}");
        let stranger = Client::new(sandbox.url(), Auth::Token("0123456789abcdef"));
        let refused = stranger.user().current().send(&stranger).await.unwrap_err();
        assert_eq!((refused.status_code.as_u16(), refused.kind), (401, TeatimeErrorKind::HttpError));
    }
}
