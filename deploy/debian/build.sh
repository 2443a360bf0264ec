#!/usr/bin/env bash
# Makes the Debian package: deploy/debian/build.sh PROGRAMS TARGET, where PROGRAMS is the folder of built programs. Prints its path.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
programs=$(cd "$1" && pwd)
target=$2
version=$(sed -n 's/.*static let text = "\(.*\)".*/\1/p' "$root/Sources/anneald/Version.swift")
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
doc=$tree/usr/share/doc/anneal

for name in anneald anneal anneal-shim anneal-worker; do
    install -D -m 755 "$programs/$name" "$tree/usr/bin/$name"
    strip --strip-unneeded --remove-section=.comment "$tree/usr/bin/$name"
done
install -D -m 755 "$here/anneal-setup-python" "$tree/usr/bin/anneal-setup-python"
install -d -m 755 "$tree/usr/share/anneal/trainer/anneal_trainer" "$tree/usr/share/anneal/dashboard"
(cd "$root/Sources/trainer" && find anneal_trainer -type f -not -name '*.pyc' -exec install -D -m 644 {} "$tree/usr/share/anneal/trainer/{}" \;)
install -m 644 "$root/Sources/trainer/requirements.txt" "$root/Sources/trainer/pyproject.toml" "$tree/usr/share/anneal/trainer"
install -m 644 "$root"/Sources/dashboard/* "$tree/usr/share/anneal/dashboard"
install -D -m 644 "$root/deploy/systemd/system/anneald.service" "$tree/lib/systemd/system/anneald.service"
install -D -m 644 "$root/deploy/systemd/user/anneald.service" "$tree/usr/lib/systemd/user/anneald.service"
install -D -m 644 "$root/deploy/systemd/anneal.sysusers" "$tree/usr/lib/sysusers.d/anneal.conf"
install -D -m 644 "$root/deploy/systemd/anneal.tmpfiles" "$tree/usr/lib/tmpfiles.d/anneal.conf"
install -D -m 644 "$here/lintian-overrides" "$tree/usr/share/lintian/overrides/anneal"
install -D -m 644 "$here/anneald.yaml" "$tree/etc/anneal/anneald.yaml"
install -D -m 644 "$here/hello.yaml" "$doc/examples/hello.yaml"
install -m 644 "$root"/deploy/examples/*.yaml "$doc/examples"
cp -r "$root/deploy/ci" "$doc/examples/ci"
install -m 644 "$root/README.md" "$root/openapi.yaml" "$doc"
gzip -9n "$doc/README.md" "$doc/openapi.yaml"

# The licences of what is linked in.
{
    echo "Anneal itself comes without a licence of its own in this package; ask its maintainers. The programs hold, linked in:"
    for licence in "$root"/.build/checkouts/*/LICENSE*; do
        printf '\n== %s\n\n' "$(basename "$(dirname "$licence")")"
        case $(head -c 400 "$licence") in
        *"Apache License"*) echo "Apache License 2.0: /usr/share/common-licenses/Apache-2.0" ;;
        *) cat "$licence" ;;
        esac
    done
    printf '\n== Swift runtime and Foundation\n\nApache License 2.0 with Runtime Library Exception: /usr/share/common-licenses/Apache-2.0\n'
} >"$doc/copyright"
printf 'anneal (%s) unstable; urgency=medium\n\n  * Release %s.\n\n -- Anneal maintainers <anneal@localhost>  %s\n' \
    "$version" "$version" "$(date -R -u -r "$root/Sources/anneald/Version.swift")" | gzip -9n >"$doc/changelog.gz"

# Manual pages out of what the programs say of themselves.
page() { # NAME SECTION SUMMARY: the help comes on standard input
    install -d "$tree/usr/share/man/man$2"
    {
        printf '.TH %s %s "" "anneal %s"\n.SH NAME\n%s \\- %s\n.SH DESCRIPTION\n.nf\n' "${1^^}" "$2" "$version" "$1" "$3"
        sed -e 's/\\/\\e/g' -e "s/^[.']/\\\\\&&/" -e 's/-/\\-/g'
        printf '.fi\n'
    } | gzip -9n >"$tree/usr/share/man/man$2/$1.$2.gz"
}
"$programs/anneal" --help | page anneal 1 "train and evaluate language models"
"$programs/anneald" --help | page anneald 8 "the Anneal daemon"
echo "Supervises one attempt of a job; anneald starts it. See anneald(8)." | page anneal-shim 8 "supervisor of one attempt"
echo "Prepares, generates and evaluates for anneald, which starts it. See anneald(8)." | page anneal-worker 8 "worker of the Anneal daemon"
"$here/anneal-setup-python" --help | page anneal-setup-python 8 "make the Python environment that trains"

find "$tree" -type d -exec chmod 755 {} +
mkdir -p "$work/debian" "$tree/DEBIAN"
printf 'Source: anneal\nMaintainer: Anneal maintainers <anneal@localhost>\n\nPackage: anneal\nArchitecture: any\n' >"$work/debian/control"
shlibs=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info -Stree tree/usr/bin/anneal{,d,-shim,-worker} 2>"$work/shlibs.log" | sed -n 's/^shlibs:Depends=//p')
if [ -z "$shlibs" ]; then cat "$work/shlibs.log" >&2; exit 1; fi
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SHLIBS@/$shlibs/" \
    -e "s/@SIZE@/$(du -k -s --exclude=DEBIAN "$tree" | cut -f 1)/" "$here/control.in" >"$tree/DEBIAN/control"
install -m 755 "$here/postinst" "$here/prerm" "$here/postrm" "$tree/DEBIAN"
echo /etc/anneal/anneald.yaml >"$tree/DEBIAN/conffiles"
(cd "$tree" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
mkdir -p "$target"
package=$target/anneal_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz -z2 --build "$tree" "$package" >&2
echo "$package"
