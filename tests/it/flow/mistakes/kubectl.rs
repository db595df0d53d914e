//! What may be wrong with a job that the server does itself.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn a_job_without_a_container_has_keys_of_its_own() {
    assert_snapshot!(mistakes("kubectl"), @r#"
error: `Shop` is no namespace of a cluster
  --> kubectl.yml:1:12
  |
1 | namespace: Shop
  |            ^^^^
  = hint: 1 to 63 lower-case letters, digits and `-`

error: a job of type kubectl needs `kubectl`: a path in the repository, or an https URL
  --> kubectl.yml:5:9
  |
5 |       - {name: nothing, type: kubectl, namespace: shop}
  |         ^^^^

error: `../app.yaml` is no path in the repository
  --> kubectl.yml:6:34
  |
6 |       - {name: outside, kubectl: ../app.yaml, namespace: shop}
  |                                  ^^^^^^^^^^^
  = hint: write it from the repository's top, without `..`

error: `/etc/app.yaml` is no path in the repository
  --> kubectl.yml:7:35
  |
7 |       - {name: absolute, kubectl: /etc/app.yaml, namespace: shop}
  |                                   ^^^^^^^^^^^^^
  = hint: write it from the repository's top, without `..`

error: a URL in a flow file holds no credentials
  --> kubectl.yml:8:32
  |
8 |       - {name: login, kubectl: "https://me:secret@example.org/app.yaml", namespace: shop}
  |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = hint: whoever reads the repository would have them

error: this is no https URL
  --> kubectl.yml:9:31
  |
9 |       - {name: file, kubectl: "file:///etc/passwd", namespace: shop}
  |                               ^^^^^^^^^^^^^^^^^^^^
  = hint: write https://host/path, or a path in the repository

warning: this URL is not encrypted: it is read only if the server's administrator has listed it
   --> kubectl.yml:10:32
   |
10 |       - {name: plain, kubectl: "http://example.org/app.yaml", namespace: shop}
   |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = hint: use https

error: a job of type kubectl runs no container: `image` means nothing to it
   --> kubectl.yml:11:56
   |
11 |       - {name: both, type: kubectl, kubectl: app.yaml, image: alpine, run: echo, namespace: shop, outputs: [A]}
   |                                                        ^^^^^
   = hint: remove one of both

error: a job of type kubectl runs no container: `run` means nothing to it
   --> kubectl.yml:11:71
   |
11 |       - {name: both, type: kubectl, kubectl: app.yaml, image: alpine, run: echo, namespace: shop, outputs: [A]}
   |                                                                       ^^^
   = hint: remove it, or use a job of its own

error: a job of type kubectl runs no container: `outputs` means nothing to it
   --> kubectl.yml:11:99
   |
11 |       - {name: both, type: kubectl, kubectl: app.yaml, image: alpine, run: echo, namespace: shop, outputs: [A]}
   |                                                                                                   ^^^^^^^
   = hint: remove it, or use a job of its own

error: `no space` is no namespace of a cluster
   --> kubectl.yml:12:54
   |
12 |       - {name: spaces, kubectl: app.yaml, namespace: no space, wait: soon, roll-back: maybe}
   |                                                      ^^^^^^^^
   = hint: 1 to 63 lower-case letters, digits and `-`

error: `soon` is no duration
   --> kubectl.yml:12:70
   |
12 |       - {name: spaces, kubectl: app.yaml, namespace: no space, wait: soon, roll-back: maybe}
   |                                                                      ^^^^
   = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

error: `roll-back` is true or false; `maybe` is none of them
   --> kubectl.yml:12:87
   |
12 |       - {name: spaces, kubectl: app.yaml, namespace: no space, wait: soon, roll-back: maybe}
   |                                                                                       ^^^^^

warning: a job with an image is a component: its `kubectl` is ignored
   --> kubectl.yml:13:38
   |
13 |       - {name: image, image: alpine, kubectl: app.yaml, namespace: shop, wait: 5m, roll-back: true}
   |                                      ^^^^^^^
   = hint: remove one of both

error: `namespace` is for a job of type kubectl; this one runs a container
   --> kubectl.yml:13:57
   |
13 |       - {name: image, image: alpine, kubectl: app.yaml, namespace: shop, wait: 5m, roll-back: true}
   |                                                         ^^^^^^^^^
   = hint: remove it

error: `wait` is for a job of type kubectl; this one runs a container
   --> kubectl.yml:13:74
   |
13 |       - {name: image, image: alpine, kubectl: app.yaml, namespace: shop, wait: 5m, roll-back: true}
   |                                                                          ^^^^
   = hint: remove it

error: `roll-back` is for a job of type kubectl; this one runs a container
   --> kubectl.yml:13:84
   |
13 |       - {name: image, image: alpine, kubectl: app.yaml, namespace: shop, wait: 5m, roll-back: true}
   |                                                                                    ^^^^^^^^^
   = hint: remove it

error: a job's `type` is component, kubectl or service; `kubctl` is something else
   --> kubectl.yml:14:28
   |
14 |       - {name: kind, type: kubctl, kubectl: app.yaml, namespace: shop}
   |                            ^^^^^^
   = hint: did you mean `kubectl`?
"#);
}

#[test]
fn a_job_without_a_container_needs_a_namespace() {
    assert_snapshot!(mistakes("kubectl-nowhere"), @r#"
error: a job of type kubectl needs a `namespace`, of its own or the flow's
  --> kubectl-nowhere.yml:2:5
  |
2 |   - {name: ship, kubectl: app.yaml}
  |     ^^^^
"#);
}
