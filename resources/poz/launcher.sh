#!/bin/sh
# Starts poz.jar, which lies beside this script. With the class-data archive poz.jsa beside it the
# JVM starts in less than half the time; it holds for this jar in this folder, and for one JVM:
# `poz --make-archive` makes it anew. An archive that does not fit is passed over in silence.
# Variables: JAVA_CMD, which java; POZ_JAVA_OPTS, options for it.
set -eu
here=$(dirname "$(readlink -f "$0")")
java=${JAVA_CMD:-java}
jar=$here/poz.jar archive=$here/poz.jsa

# What runs long needs the JVM's best compiler and collector; the rest is done before they are. The
# server is spared Netty's search for lost buffers, which keeps a stack trace of some: 1 of 36 µs of a
# lookup. The tests search all.
case ${1:-} in
  serve) speed=-Dio.netty.leakDetection.level=disabled ;;
  mirror | explore | fuzz | conformance) speed= ;;
  *) speed='-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData' ;;
esac

if [ "${1:-}" = --make-archive ]; then
  rm -f "$archive"
  made=$(mktemp -d)
  trap 'rm -rf "$made"' EXIT
  # what it holds is what was loaded: every command, what a verdict needs, and what the tour runs through
  # shellcheck disable=SC2086
  POZ_PASSPHRASE=none "$java" $speed -XX:ArchiveClassesAtExit="$archive" -Xlog:disable "-Dmade=$made/a.poz" -cp "$jar" clojure.main \
    -e "(Class/forName \"poz.launch\")
        ((requiring-resolve 'poz.main/commands))
        (let [run #((requiring-resolve 'poz.main/run) % ((requiring-resolve 'poz.main/environment))) file (System/getProperty \"made\")]
          (run [\"new\" \"two-devices\" \"--out\" file])
          (run [\"verify\" file]))
        ((requiring-resolve 'poz.launch/-main) \"tour\")" >/dev/null 2>&1
  exit
fi

# shellcheck disable=SC2086
exec "$java" $speed -Xshare:auto -XX:SharedArchiveFile="$archive" -Xlog:disable ${POZ_JAVA_OPTS:-} -jar "$jar" "$@"
