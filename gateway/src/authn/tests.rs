#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use policy::id::{ClientId, PurposeId};
use serde_json::json;
use vault::keys::SecretKey;
use vault::rotation::{KeyState, TokenKey};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn token_key(number: u32, state: KeyState) -> TokenKey {
    TokenKey { number, state, seed: SecretKey::from_bytes([2 + u8::try_from(number).unwrap(); 32]) }
}

fn authority(audience: &str) -> Authority {
    Authority::new(&[token_key(1, KeyState::Active)], "https://gate.example", audience, NOW).unwrap()
}

fn client() -> ClientId {
    ClientId::new("marketing").unwrap()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
}

fn token(authority: &Authority) -> String {
    authority.issue(&client(), vec![PurposeId::new("marketing").unwrap()], "service", NOW).unwrap().jwt
}

/// Signs any claims with the gateway's own key, as only a bug of ours could.
fn signed(header: &serde_json::Value, claims: &serde_json::Value) -> String {
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
    let body = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let signature = B64.encode(pair.sign(body.as_bytes()));
    format!("{body}.{signature}")
}

fn part(token: &str, index: usize) -> serde_json::Value {
    serde_json::from_slice(&B64.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

#[test]
fn a_token_passes_until_it_expires() {
    let authority = authority("silhouette");
    let token = token(&authority);
    let claims = authority.check(&token, NOW).unwrap();
    assert_eq!((claims.sub.as_str(), claims.scope.as_str()), ("marketing", "service"));
    assert!(authority.check(&token, later(TOKEN_SECONDS - 1)).is_ok());
    assert_eq!(authority.check(&token, later(TOKEN_SECONDS)), Err(TokenProblem::Expired));
    assert_eq!(authority.check(&token, later(-SKEW_SECONDS - 1)), Err(TokenProblem::Invalid));
}

#[test]
fn tokens_of_a_key_are_good_while_it_is_kept_and_those_of_the_next_are_not_yet() {
    use KeyState::{Active, Spare, Superseded};
    let authority = authority("silhouette");
    let old = token(&authority);
    let load = |keys: &[(u32, KeyState)]| {
        let keys: Vec<_> = keys.iter().map(|(number, state)| token_key(*number, *state)).collect();
        authority.reload(&keys)
    };
    let published = || {
        let jwks: serde_json::Value = serde_json::from_str(&authority.jwks()).unwrap();
        jwks["keys"].as_array().unwrap().len()
    };
    load(&[(1, Active), (2, Spare)]).unwrap();
    assert_eq!(published(), 2, "the next key is published before it signs");
    assert_eq!(part(&token(&authority), 0)["kid"], part(&old, 0)["kid"]);
    load(&[(1, Superseded), (2, Active)]).unwrap();
    let new = token(&authority);
    assert_ne!(part(&new, 0)["kid"], part(&old, 0)["kid"]);
    assert!(authority.check(&old, NOW).is_ok() && authority.check(&new, NOW).is_ok());
    load(&[(1, Active), (2, Spare)]).unwrap();
    assert_eq!(authority.check(&new, NOW), Err(TokenProblem::Invalid), "a key that does not sign yet signed it");
    load(&[(2, Active)]).unwrap();
    assert_eq!((authority.check(&old, NOW), published()), (Err(TokenProblem::Invalid), 1));
    assert!(load(&[(2, Superseded)]).is_err() && authority.check(&new, NOW).is_ok(), "no key signs: nothing changes");
}

#[test]
fn a_token_of_another_gateway_is_told_apart() {
    let elsewhere = token(&authority("other"));
    assert_eq!(authority("silhouette").check(&elsewhere, NOW), Err(TokenProblem::Audience));
}

#[test]
fn every_claim_is_required_with_its_type() {
    let authority = authority("silhouette");
    let good = token(&authority);
    let (header, claims) = (part(&good, 0), part(&good, 1));
    assert!(authority.check(&signed(&header, &claims), NOW).is_ok());
    for name in ["iss", "aud", "sub", "client_id", "iat", "nbf", "exp", "jti", "purposes", "scope"] {
        let mut missing = claims.clone();
        missing.as_object_mut().unwrap().remove(name);
        assert_eq!(authority.check(&signed(&header, &missing), NOW), Err(TokenProblem::Invalid), "without {name}");
        for wrong in [json!(null), json!({}), json!([claims[name]])] {
            let mut changed = claims.clone();
            changed[name] = wrong;
            assert_eq!(authority.check(&signed(&header, &changed), NOW), Err(TokenProblem::Invalid), "wrong {name}");
        }
    }
    let mut eternal = claims.clone();
    eternal["exp"] = json!(NOW.seconds() + TOKEN_SECONDS + 1);
    assert_eq!(authority.check(&signed(&header, &eternal), NOW), Err(TokenProblem::Invalid), "too long a life");
}

#[test]
fn algorithms_and_headers_cannot_be_confused() {
    let authority = authority("silhouette");
    let good = token(&authority);
    let (header, claims) = (part(&good, 0), part(&good, 1));
    let body = good.rsplit_once('.').unwrap().0;
    let unsigned = format!(
        "{}.{}.",
        B64.encode(json!({"alg": "none", "typ": "at+jwt"}).to_string()),
        B64.encode(claims.to_string())
    );
    let mac_body = {
        let mut mac = header.clone();
        mac["alg"] = json!("HS256");
        format!("{}.{}", B64.encode(mac.to_string()), B64.encode(claims.to_string()))
    };
    let jwks: serde_json::Value = serde_json::from_str(&authority.jwks()).unwrap();
    let public = B64.decode(jwks["keys"][0]["x"].as_str().unwrap()).unwrap();
    let mac = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public), mac_body.as_bytes());
    let confused = format!("{mac_body}.{}", B64.encode(mac));
    for (what, bad) in
        [("none", unsigned), ("HMAC with the public key", confused), ("no signature", format!("{body}."))]
    {
        assert_eq!(authority.check(&bad, NOW), Err(TokenProblem::Invalid), "{what}");
    }
    for (name, value) in
        [("typ", json!("JWT")), ("kid", json!("other")), ("crit", json!(["exp"])), ("alg", json!("RS256"))]
    {
        let mut changed = header.clone();
        changed[name] = value;
        assert_eq!(authority.check(&signed(&changed, &claims), NOW), Err(TokenProblem::Invalid), "{name}");
    }
    assert_eq!(authority.check(&"a".repeat(5000), NOW), Err(TokenProblem::Invalid));
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let authority = authority("silhouette");
    let good = token(&authority).into_bytes();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        assert!(authority.check(std::str::from_utf8(&bad).unwrap(), NOW).is_err(), "byte {at}");
    }
}

#[test]
fn an_assertion_is_good_once_for_its_own_client() {
    let key = ClientKey::generate().unwrap();
    let assertion = key.assertion("marketing", "silhouette", NOW).unwrap();
    assert_eq!(claimed_client(&assertion), Ok(client()));
    let claims = check_assertion(&assertion, &client(), &key.public(), "silhouette", NOW).unwrap();
    let seen = SeenAssertions::default();
    assert_eq!(seen.mark(&client(), &claims, NOW), Ok(()));
    assert_eq!(seen.mark(&client(), &claims, NOW), Err(TokenProblem::Invalid));
    let other = ClientKey::generate().unwrap();
    let check = |audience: &str, public: &[u8; 32], now| check_assertion(&assertion, &client(), public, audience, now);
    assert_eq!(check("other", &key.public(), NOW), Err(TokenProblem::Audience));
    assert_eq!(check("silhouette", &other.public(), NOW), Err(TokenProblem::Invalid));
    assert_eq!(check("silhouette", &key.public(), later(60 + SKEW_SECONDS)), Err(TokenProblem::Expired));
    let sales = ClientId::new("sales").unwrap();
    let stolen = check_assertion(&assertion, &sales, &key.public(), "silhouette", NOW);
    assert_eq!(stolen, Err(TokenProblem::Invalid));
}

#[test]
fn an_assertion_may_not_live_longer_than_a_minute() {
    let key = ClientKey::generate().unwrap();
    let claims = AssertionClaims {
        iss: "marketing".into(),
        sub: "marketing".into(),
        aud: "silhouette".into(),
        iat: NOW.seconds(),
        exp: NOW.seconds() + 61,
        jti: "1".into(),
    };
    let assertion = key.sign(&claims).unwrap();
    let checked = check_assertion(&assertion, &client(), &key.public(), "silhouette", NOW);
    assert_eq!(checked, Err(TokenProblem::Invalid));
}

#[test]
fn a_client_key_survives_its_file() {
    let key = ClientKey::generate().unwrap();
    let read = ClientKey::from_pem(&key.to_pem()).unwrap();
    assert_eq!(read.public(), key.public());
    assert_eq!(ClientKey::from_pem("no key").unwrap_err(), ClientKeyError::NotPem);
    assert_eq!(ClientKey::from_pkcs8(b"nothing").unwrap_err(), ClientKeyError::NotEd25519);
}
