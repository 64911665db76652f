(ns poz.codec.table-test
  "The tables of the docs against the format that they are made from."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.codec.rows :as rows]
   [poz.codec.table :as table]
   [poz.format :as format]))

(set! *warn-on-reflection* true)

(deftest a-struct
  (is (= (str "| field | type | bytes | rule | meaning |\n"
           "| --- | --- | --- | --- | --- |\n"
           "| `key` | index | 2 |  | which key |\n"
           "| `name` | name | 3–257 | 1–255 bytes | what its holder calls it |")
        (table/struct-table format/format :key-names))))

(deftest rows-of-inner-structs-follow
  (is (= [["master_keys" 0 "list" "1 or more items; sorted by group, key"]
          ["group" 1 "u8" ""]
          ["key" 1 "index" ""]
          ["value" 1 "u8" "1–100"]]
        (->> (rows/rows format/format :master-zone)
          (drop-while #(not= "master_keys" (:field %)))
          (take 4)
          (map (juxt :field :depth :type :rule))))))

(deftest codes
  (is (= (str "Codes of `reason`:\n\n"
           "| code | name | meaning |\n"
           "| --- | --- | --- |\n"
           "| `0x00` | unspecified | not told |\n"
           "| `0x01` | compromised | in the wrong hands |\n"
           "| `0x02` | superseded | replaced |\n"
           "| `0x03` | retired | no longer used |\n"
           "| `0x04` | abuse | misused |")
        (table/code-tables format/format :denials))))

(defn- lines-of [s]
  (str/split-lines s))

(deftest algorithms-and-sections
  (is (= (+ 2 (count format/algorithms)) (count (lines-of (table/algorithms-table format/format)))))
  (is (str/includes? (table/algorithms-table format/format) "| `0x03` | ml-dsa-65 | 1952 | 3309 | 32 | sign |"))
  (is (= (+ 2 (count format/sections)) (count (lines-of (table/sections-table format/format)))))
  (is (str/includes? (table/sections-table format/format)
        "| `0x8003` | Zone History | `:zone-history` | public | former revisions")))

(defn- field-names
  "The keys of all fields in a form of the format."
  [form]
  (when (vector? form)
    (concat (when (= :struct (first form)) (map first (drop 2 form)))
      (mapcat field-names (if (= :struct (first form)) (map peek (drop 2 form)) form)))))

(deftest markdown-has-it-all
  (let [all (table/markdown format/format)]
    (testing "every section under a heading, every context, every limit"
      (doseq [{n :name} format/sections] (is (str/includes? all (str "### " n " ("))))
      (doseq [[_ {:keys [context]}] format/statements] (is (str/includes? all (str "| `" context "` |"))))
      (doseq [k (keys format/limits)] (is (str/includes? all (str "\n| " (rows/snake k) " |")))))
    (testing "every field of every section"
      (doseq [{:keys [type]} format/sections
              k (field-names (get-in format/format [:types type]))]
        (is (str/includes? all (str "`" (rows/snake k) "` |")) (str type " " k))))
    (testing "tables of one shape"
      (doseq [[head & more] (remove #(not= \| (ffirst %)) (partition-by #(= \| (first %)) (lines-of all)))]
        (is (apply = (map #(count (re-seq #" \|" %)) (cons head more))))))
    (testing "one line names a section's code as a heading"
      (is (= 1 (count (re-seq #"### Master Zone" all)))))))

(deftest every-section-explains-itself
  (doseq [{:keys [key name]} format/sections
          :let [lines (table/doc-lines format/format key)]]
    (is (str/starts-with? (first lines) (str name ", section 0x")))
    (is (every? #(<= (count %) 80) lines) key))
  (is (nil? (table/doc-lines format/format :no-such-section))))

(deftest a-section-on-a-terminal
  (is (= ["Key Names, section 0x8004, private"
          "What the holder calls the keys. Never leaves its holder."
          ""
          "key_names: List; 1 or more items; sorted by key."
          "  field                          type                           bytes"
          "  key                            index                          2"
          "      which key"
          "  name                           name                           3–257"
          "      what its holder calls it; 1–255 bytes"]
        (table/doc-lines format/format :key-names)))
  (is (some #{"identity_body: List; sorted by encoding; id authority_hash, path, user_handle."}
        (table/doc-lines format/format :identity-zone))))
