//! Answers to consent pages, each of which counts once.

use authorization_server::Store;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode};
use tests::faulty::Fault;

use crate::site::{Answer, Site};
use crate::story::Story;

/// An answer that was heard is the last, though the store fails while it is given again, in whatever way.
pub(crate) async fn heard<S: Store + 'static>(site: &Site<S>) {
    let client = Story::new(site).register().await;
    for first in ["deny", "allow"] {
        for fault in [Fault::Before, Fault::After, Fault::HangBefore, Fault::HangAfter] {
            // Asked for each time: a yes would be remembered.
            let url = format!("{}&prompt=consent", Story::<S>::authorize(&client));
            let page = site.get(&url).await;
            let heard = answer(site, &page, first).await;
            assert_eq!(heard.status, StatusCode::SEE_OTHER);
            assert_eq!(heard.redirect("code").is_some(), first == "allow");
            site.store.fail_next(fault);
            let again = answer(site, &page, "allow").await;
            assert_eq!(again.status, StatusCode::BAD_REQUEST, "{first}, {fault:?}");
        }
    }
}

/// An answer, given again for as long as nobody hears it.
async fn answer<S: Store + 'static>(site: &Site<S>, page: &Answer, decision: &str) -> Answer {
    let cookie = HeaderValue::try_from(page.cookie()).unwrap();
    let headers = HeaderMap::from_iter([(COOKIE, cookie)]);
    let form = format!("transaction={}&decision={decision}", page.transaction());
    site.form("/authorize/consent", &form, || (headers.clone(), String::new())).await
}
