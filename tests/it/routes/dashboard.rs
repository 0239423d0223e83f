//! The dashboard's page and its files.

use plugin_registry::dashboard::Dashboard;

use crate::harness::server::Setup;
use crate::harness::{Client, Server};

async fn with(dashboard: Dashboard) -> Server {
    Setup { dashboard, ..Setup::in_memory() }.start().await
}

/// The paths of the files that the page names.
fn links(page: &str) -> Vec<String> {
    let attributes = page.split("href=\"").skip(1).chain(page.split("src=\"").skip(1));
    let links = attributes.filter_map(|rest| rest.split('"').next()).filter(|link| link.starts_with("ui/"));
    links.map(|link| format!("/{link}")).collect()
}

async fn page(client: &Client) -> String {
    client.get("/").answers(200).await.text().to_owned()
}

#[tokio::test]
async fn the_page_is_checked_each_time_and_its_files_are_kept() {
    let server = Server::in_memory().await;
    let client = server.client();
    let page = client.get("/").answers(200).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert!(page.header("content-security-policy").is_some());
    assert!(!page.text().contains("{ui}") && !page.text().contains("<!-- modulepreload"), "{}", page.text());
    let tag = page.header("etag").unwrap();
    client.get("/").header("if-none-match", tag).answers(304).await;
    client.get("/").header("if-none-match", "W/\"another\"").answers(200).await;
    for link in links(page.text()) {
        let file = client.get(&link).answers(200).await;
        assert_eq!(file.header("cache-control"), Some("public, max-age=31536000, immutable"), "{link}");
        let media_type = file.header("content-type").unwrap();
        assert!(
            ["text/javascript", "text/css", "image/svg+xml"].iter().any(|known| media_type.starts_with(known)),
            "{link}"
        );
    }
}

#[tokio::test]
async fn clients_get_gzip_if_they_accept_it() {
    let server = Server::in_memory().await;
    let client = server.client();
    let plain = page(&client).await;
    for (accepted, is_compressed) in
        [("gzip", true), ("br, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false), ("identity", false)]
    {
        let reply = client.get("/").header("accept-encoding", accepted).answers(200).await;
        assert_eq!(reply.header("content-encoding") == Some("gzip"), is_compressed, "{accepted}");
        assert!(reply.header("vary").unwrap().eq_ignore_ascii_case("accept-encoding"), "{accepted}");
        assert_eq!(*reply.body == *plain.as_bytes(), !is_compressed, "{accepted}");
    }
}

#[tokio::test]
async fn only_files_for_browsers_are_served() {
    let server = Server::in_memory().await;
    let client = server.client();
    let page = client.get("/").answers(200).await;
    let hash = page.header("etag").unwrap().trim_start_matches("W/").trim_matches('"').to_owned();
    for path in ["page.html", "mod.rs", "vendor/vendor.lock", "nothing.js", "app/..%2fmod.rs"] {
        client.get(&format!("/ui/{hash}/{path}")).refused(404).await;
    }
    client.get("/ui").refused(404).await;
}

#[tokio::test]
async fn without_the_dashboard_nothing_is_there() {
    let embedded = Server::in_memory().await;
    let files = links(&page(&embedded.client()).await);
    let server = with(Dashboard::Off).await;
    let client = server.client();
    client.get("/").refused(404).await;
    for file in files {
        client.get(&file).refused(404).await;
    }
    client.get("/plugins").answers(200).await;
}

#[tokio::test]
async fn a_folder_is_served_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("page.html", "<a href=\"{ui}/a.js\">");
    write("a.js", "1");
    let server = with(folder.path().to_str().unwrap().parse().unwrap()).await;
    let client = server.client();
    let before = links(&page(&client).await).remove(0);
    let file = client.get(&before).answers(200).await;
    assert_eq!((file.text(), file.header("cache-control")), ("1", Some("no-cache")));
    write("a.js", "2");
    let after = links(&page(&client).await).remove(0);
    assert_ne!(before, after, "the hash is of the content");
    // The page of another version still gets what there is.
    for link in [before, after] {
        assert_eq!(client.get(&link).answers(200).await.text(), "2");
    }
}
