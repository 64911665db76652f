(ns poz.api
  "The front door: bytes → record → verdict, and what explains each.

    file, hex          byte strings from a file, from hex digits
    parse, encode      byte string ↔ record, a plain map
    verify, why        a record → a verdict; a verdict, or a failure, in words
    show, tree, dump   whatever it is, as a person reads it; a record as a tree; every byte
    doc                a section's fields
    schema, explain    the format as Malli forms; what is wrong with a value by one
    public-view, armor what may be published; the text form
    update             what becomes of a record that is held when another comes
    diff, simulate     what changed; who can do what, what a loss or a theft means
    query              ask servers, and believe nothing that does not verify
    anomaly?           is this a failure
    tap                send events to `tap>`, or stop it

  Failures that are to be expected are values, anomaly maps: `(:poz/error x)` names the
  rule, `(:message x)` says it in a sentence, `why` shows it with its place and what to do.
  A wrong argument throws. Records and verdicts take `clojure.datafy/nav` (see `poz.nav`).

  Lines are a seq of strings that prints as lines at a REPL. What is rarely used, and all that
  needs a network, is loaded when it is first called. The examples are run as tests, from the
  root of the project."
  (:refer-clojure :exclude [update])
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format :as format]
   [poz.nav :as nav]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.tap :as tap]
   [poz.verify :as verify])
  (:import
   (java.nio.file Files Path)))

(set! *warn-on-reflection* true)

(defn- lines [xs]
  (nav/shown ((requiring-resolve 'poz.view.text/lines) xs) :inspector))

(defn file
  "The byte string in the file at `path`. Throws IOException.

      (count (file \"test/vectors/records/all-zones.poz\"))
      ;=> 3124"
  [^String path]
  (bytes/wrap (Files/readAllBytes (Path/of path (make-array String 0)))))

(defn hex
  "The byte string that hex digits write; it prints so that it reads back.

      (hex \"504F5A\")
      ;=> #poz/hex \"504f5a\""
  [digits]
  (bytes/hex-> digits))

(defn parse
  "The record in a byte string, binary or text; or the anomaly of the first fault, with
  offset and path. Options: `:max-size`, bytes.

      (-> (parse (file \"test/vectors/records/all-zones.poz\")) :master-zone :serial)
      ;=> 1
      (:poz/error (parse (hex \"504f5a01\")))
      ;=> :format/version"
  ([b] (parse b {}))
  ([b options] (nav/record (tap/parsed! b (record/parse b options)))))

(defn encode
  "The byte string of a record. Throws the anomaly of a map that no file decodes to.

      (let [b (file \"test/vectors/records/all-zones.poz\")]
        (= b (encode (parse b))))
      ;=> true"
  [record]
  (record/encode record))

(defn verify
  "The verdict on a record (or on the anomaly that `parse` gave). Options: `:now`, the clock in
  milliseconds, required; `:providers`, records to check identity entries against.

      (:outcome (verify (parse (file \"test/vectors/records/all-zones.poz\")) {:now 1793491200000}))
      ;=> :valid"
  [record options]
  (nav/verdict (tap/verified! record (verify/verify record options)) record))

(defn why
  "A verdict of `verify` in words, as lines; of an anomaly what is wrong, the bytes that are, and
  what to do. Options: `:steps` (show those that hold too), `:color`, `:width`.

      (first (why (verify (parse (file \"test/vectors/records/all-zones.poz\")) {:now 1793491200000})))
      ;=> \"record: valid\"
      (nth (why (parse (hex \"504f5a01\"))) 4)
      ;=> \"      ^^                       format/version\""
  ([x] (why x {}))
  ([x options]
   (lines
     (if (error/anomaly? x)
       ((requiring-resolve 'poz.view.verdict/anomaly-lines) x options)
       ((requiring-resolve 'poz.view.verdict/lines) "record" (:poz/record (meta x)) x options)))))

(defn tree
  "A record as a tree, as lines: its keys, who may change what, what each zone says. Options:
  `:color`, `:width`, `:full`.

      (take 2 (tree (parse (file \"test/vectors/records/all-zones.poz\"))))
      ;=> (\"Keys: 10\" \"  0  ed25519       hash 5d16381a34a143f9…\")"
  ([record] (tree record {}))
  ([record options]
   (lines ((requiring-resolve 'poz.view.tree/show) record (assoc options :key-hash signing/key-hash)))))

(defn- bytes-of
  "The byte string that `x` is about: one, hex digits, the text form, the path of a file, a
  record, an anomaly that `parse` gave, a verdict."
  [x]
  (cond
    (bytes/bytes? x) x
    (and (string? x) (re-matches #"(?:\p{XDigit}\p{XDigit})*" x)) (hex x)
    (and (string? x) (str/includes? x "-----BEGIN POZ")) (bytes/utf8 x)
    (string? x) (file x)
    (error/anomaly? x) (:poz/bytes (meta x))
    (:master-zone x) (encode x)
    (:outcome x) (some-> (:poz/record (meta x)) bytes-of)))

(defn dump
  "Every byte with its meaning, as lines; of a broken file up to the fault. `x` is a byte string,
  hex digits, a text form, the path of a file, a record, what `parse` gave instead of one, or a verdict.
  Options: `:color`, `:width`, `:full`.

      (second (dump \"504f5a01\"))
      ;=> \"0000  50 4f 5a                 magic — \\\"POZ\\\"\"
      (count (dump \"test/vectors/records/all-zones.poz\"))
      ;=> 794"
  ([x] (dump x {}))
  ([x options]
   (if-let [b (bytes-of x)]
     (lines ((requiring-resolve 'poz.view.dump/dump) b options))
     (throw (IllegalArgumentException. "dump takes a byte string, hex digits, a path, a record, or what parse and verify gave.")))))

(defn show
  "Whatever `x` is, as a person reads it, as lines: a record, a verdict, an anomaly, what `diff`
  or `simulate` gave, a byte string, a path. Options: `:color`, `:width`.

      (first (show (parse (file \"test/vectors/records/all-zones.poz\"))))
      ;=> \"Keys: 10\"
      (first (show \"test/vectors/records/all-zones.poz\"))
      ;=> \"Header, 8 bytes\""
  ([x] (show x {}))
  ([x options]
   (cond
     (:master-zone x) (tree x options)
     (:changes x) (lines ((requiring-resolve 'poz.view.diff/lines) "before" "after" x options))
     (:powers x) (lines ((requiring-resolve 'poz.view.simulate/lines) "record" (:poz/record (meta x)) x options))
     (or (error/anomaly? x) (:outcome x)) (why x options)
     :else (dump x options))))

(defn doc
  "The fields of a section of the format, as lines. Without a section the keys of all there are.

      (first (doc :key-names))
      ;=> \"Key Names, section 0x8004, private\"
      (take 2 (doc))
      ;=> (:public-key-map :master-zone)"
  ([] (map :key format/sections))
  ([section]
   (if-let [found ((requiring-resolve 'poz.codec.table/doc-lines) format/format section)]
     (lines found)
     (throw (IllegalArgumentException. (str "There is no section " section ". There are " (str/join " " (doc)) "."))))))

(defn schema
  "The Malli form of `:poz/record`, or of a type of the format. It is data; with Malli on the
  class path `(malli.core/validate (schema :poz/record) r)` says whether `explain` finds nothing.

      (take 2 (schema :master-content))
      ;=> (:map {:closed true})"
  [type]
  ((requiring-resolve 'poz.record.schema/schema) type))

(defn explain
  "Everything that is wrong with `value` by `schema`: `[{:path :message :value}]`, or nil if it can
  be encoded, and only then.

      (map :path (explain (schema :share) 101))
      ;=> ([])
      (explain (schema :share) 100)
      ;=> nil"
  [schema value]
  ((requiring-resolve 'poz.codec.validate/explain) schema value))

(defn public-view
  "What of a record may be published: no private section, no key that nothing cites.

      (let [r (parse (file \"test/vectors/records/holder-file.poz\"))]
        (keys (public-view r)))
      ;=> (:master-zone :public-key-map)"
  [record]
  (record/public-view record))

(defn armor
  "The text form of the byte string of a file, for mail and chat.

      (subs (armor (file \"test/vectors/records/genesis-minimal.poz\")) 0 26)
      ;=> \"-----BEGIN POZ RECORD-----\""
  [b]
  (record/armor b))

(defn update
  "What becomes of `held`, a public record or nil, when `record` comes: `{:outcome
  :accepted|:unchanged :record :warnings}`, or an anomaly. Options: `:now`, required.

      (let [r #(parse (file (str \"test/vectors/records/\" % \".poz\")))]
        (:outcome (update (r \"recovery-1\") (r \"recovery-2\") {:now 1793491200000})))
      ;=> :accepted"
  [held record options]
  ((requiring-resolve 'poz.update/apply-update) held record options))

(defn diff
  "What changed from record `a` to record `b`: `{:same :changes [{:change :path :message …}]}`.

      (let [r #(parse (file (str \"test/vectors/records/\" % \".poz\")))]
        (:message (first (:changes (diff (r \"recovery-1\") (r \"recovery-2\"))))))
      ;=> \"revision 2, 2026-01-01T01:00:00Z, signed by keys 1, 2, 3: new\""
  [a b]
  ((requiring-resolve 'poz.diff/diff) a b))

(defn simulate
  "Who can change the master zone, grant and deny in each zone, and what each loss or theft
  of one or two keys would mean. Options: `:without`, lost keys, `:stolen`, keys of a thief,
  `:limit`.

      (let [{:keys [thief]} (simulate (parse (file \"test/vectors/records/recovery-1.poz\")) {:stolen #{0}})]
        (:controls-all thief))
      ;=> true"
  ([record] (simulate record {}))
  ([record options] (vary-meta ((requiring-resolve 'poz.simulate/simulate) record options) assoc :poz/record record)))

(defn query
  "The verified answer of servers to `question`, or an anomaly: see `poz.client/query`, whose
  options these are.

      (:poz/error (query {:type :status}
                    {:now 1793491200000 :servers [{:host \"127.0.0.1\" :port 1 :encryption :none}]}))
      ;=> :net/unreachable"
  [question options]
  (tap/queried! question ((requiring-resolve 'poz.client/query) question options)))

(defn anomaly?
  "True if `x` is a failure.

      (anomaly? (parse (hex \"\")))
      ;=> true"
  [x]
  (error/anomaly? x))

(defn tap
  "Sends what happens here to `tap>` (see `poz.tap`) from now on, or, given false, no more. Off
  at first.

      (tap false)
      ;=> false"
  [on]
  (if on (tap/on!) (tap/off!)))
