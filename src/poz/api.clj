(ns poz.api
  "The front door: bytes → record → verdict, and what explains each.

    file, hex          byte strings from a file, from hex digits
    parse, encode      byte string ↔ record, a plain map
    verify, why        a record → a verdict; a verdict in words
    show, dump, doc    a record as a tree; every byte with its meaning; a section's fields
    schema, validate, explain    the format as Malli forms; a value against one
    public-view, armor           what may be published; the text form
    update             what becomes of a record that is held when another comes
    diff, simulate     what changed; who can do what, what a loss or a theft means
    anomaly?, fix      is this a failure; what to do about it

  Failures that are to be expected are values, anomaly maps: `(:poz/error x)` names the
  rule, `(:message x)` says it in a sentence. A wrong argument throws.
  The examples are run as tests, from the root of the project."
  (:refer-clojure :exclude [update])
  (:require
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.schema :as codec-schema]
   [poz.codec.table :as table]
   [poz.codec.validate :as validate]
   [poz.diff :as diff]
   [poz.error :as error]
   [poz.format :as format]
   [poz.record :as record]
   [poz.record.schema :as record-schema]
   [poz.signing :as signing]
   [poz.simulate :as simulate]
   [poz.update :as update]
   [poz.verify :as verify]
   [poz.view.dump :as dump]
   [poz.view.tree :as tree]
   [poz.view.verdict :as verdict])
  (:import
   (java.nio.file Files Path)))

(set! *warn-on-reflection* true)

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
  ([b] (record/parse b))
  ([b options] (record/parse b options)))

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
  (verify/verify record options))

(defn why
  "A verdict in words, as lines. Options: `:steps` (show those that hold too), `:color`,
  `:width`.

      (let [r (parse (file \"test/vectors/records/genesis-minimal.poz\"))]
        (first (why r (verify r {:now 1793491200000}))))
      ;=> \"record: valid\""
  ([record verdict] (why record verdict {}))
  ([record verdict options] (verdict/lines "record" record verdict options)))

(defn show
  "A record as a tree, as lines. Options: `:color`, `:width`, `:full`.

      (first (show (parse (file \"test/vectors/records/all-zones.poz\"))))
      ;=> \"Keys: 10\""
  ([record] (show record {}))
  ([record options] (tree/show record (assoc options :key-hash signing/key-hash))))

(defn dump
  "Every byte of a file with its meaning, as lines; of a broken one up to the fault. Options:
  `:color`, `:width`, `:full`.

      (second (dump (hex \"504f5a01\")))
      ;=> \"0000  50 4f 5a                 magic — \\\"POZ\\\"\""
  ([b] (dump b {}))
  ([b options] (dump/dump b options)))

(defn doc
  "The fields of a section or type of the format, as lines.

      (first (doc :key-names))
      ;=> \"Key Names, section 0x8004, private\""
  [section]
  (table/doc-lines format/format section))

(defn schema
  "The Malli form of `:poz/record`, or of a type of the format. It is data; with Malli on the
  class path `(malli.core/validate (schema :poz/record) r)` gives what `validate` gives.

      (take 2 (schema :master-content))
      ;=> (:map {:closed true})"
  [type]
  (if (= :poz/record type)
    (record-schema/record-schema)
    (codec-schema/schema (:node (codec/codec (:types format/format) type)))))

(defn validate
  "True if `value` is one of `schema`: if and only if it can be encoded.

      (validate (schema :denials) [])
      ;=> true"
  [schema value]
  (validate/validate schema value))

(defn explain
  "Everything that is wrong with `value` by `schema`: nil, or `[{:path :message :value}]`.

      (map :path (explain (schema :share) 101))
      ;=> ([])"
  [schema value]
  (validate/explain schema value))

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
  (update/apply-update held record options))

(defn diff
  "What changed from record `a` to record `b`: `{:same :changes [{:change :path :message …}]}`.

      (let [r #(parse (file (str \"test/vectors/records/\" % \".poz\")))]
        (:same (diff (r \"recovery-1\") (r \"recovery-1\"))))
      ;=> true"
  [a b]
  (diff/diff a b))

(defn simulate
  "Who can change the master zone, grant and deny in each zone, and what each loss or theft
  of one or two keys would mean. Options: `:without`, lost keys, `:stolen`, keys of a thief,
  `:limit`.

      (map? (simulate (parse (file \"test/vectors/records/recovery-1.poz\"))))
      ;=> true"
  ([record] (simulate record {}))
  ([record options] (simulate/simulate record options)))

(defn anomaly?
  "True if `x` is a failure.

      (anomaly? (parse (hex \"\")))
      ;=> true"
  [x]
  (error/anomaly? x))

(defn fix
  "What a person can do about an anomaly.

      (fix (parse (hex \"00\")))
      ;=> \"Fetch the file again.\""
  [anomaly]
  (error/fix anomaly))
