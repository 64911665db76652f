(ns poz.view.page-test
  "The page and the picture: what is in them, what must never be, how large they are."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.record :as record]
   [poz.record.damage :as damage]
   [poz.shown :as shown]
   [poz.view.page :as page]
   [poz.view.svg-test :as svg-test])
  (:import
   (java.security MessageDigest)
   (java.util Base64)))

(set! *warn-on-reflection* true)

(def ^:private assets (delay (shown/assets)))

(defn- shown-page [b & others]
  (page/page "a.poz" (page/facts b others shown/now) {:assets @assets}))

(defn- ids [text] (set (map second (re-seq #"<section id=\"([a-z-]+)\"" text))))

(deftest a-record-has-every-part
  (let [text (shown-page @shown/all-zones @shown/provider)]
    (is (= #{"warnings" "steps" "ownership" "delegations" "what-if" "every-byte"  "in-words"} (ids text)))
    (are [words] (str/includes? text words)
      "<bdi>a.poz</bdi>" "cee15613ce141648ce838a2551dc6104dbb5c735da81211d859f5f231b07697b" "Providers at hand</dt><dd>1"
      "Chain of 1 revision" "3 handles of this record" "alice@social.example is current" "Survivorship: 2 groups")))

(deftest without-a-script-there-is-the-rest
  (let [text (str/replace (shown-page @shown/all-zones) #"(?s)<script.*?</script>" "")]
    (is (str/includes? text "0000  50 4f 5a"))
    (is (str/includes? text "<pre"))
    (is (not (str/includes? (str/replace (shown-page (shown/entries 400)) #"(?s)<script.*?</script>" "") "0000  50 4f 5a"))
      "a large one is not there twice")))

(deftest a-broken-file-says-where-and-why
  (let [text (shown-page @shown/broken)]
    (is (= #{"every-byte"} (ids text)))
    (is (str/includes? text "in public-key-map 0 key at offset 133"))
    (is (str/includes? text "malformed")))
  (doseq [b [bytes/empty (bytes/utf8 "hello") (bytes/utf8 "-----BEGIN POZ RECORD-----\n!\n-----END POZ RECORD-----\n") (bytes/zeros 100)]]
    (is (str/includes? (shown-page b) "malformed"))))

(deftest a-fork-is-a-security-event
  (let [[a b] @shown/fork]
    (doseq [text [(shown-page a b) (shown-page @shown/evidence)]]
      (is (str/includes? text "A fork: two revisions with one parent"))
      (is (str/includes? text "Chain of 3 revisions, with a fork"))
      (is (str/includes? text "Other copies at hand</dt><dd>1")))
    (is (not (str/includes? (shown-page a a) "A fork:")))
    (is (not (str/includes? (shown-page a) "A fork:")))))

(deftest what-beside-it-is-no-record-is-said
  (is (str/includes? (shown-page @shown/all-zones @shown/broken) "Beside it, no record")))

;; Self-contained

(defn- csp [text] (second (re-find #"Content-Security-Policy\" content=\"([^\"]*)\"" text)))

(defn- sha256 [^String s]
  (.encodeToString (Base64/getEncoder) (.digest (MessageDigest/getInstance "SHA-256") (.getBytes s "UTF-8"))))

(deftest nothing-is-loaded
  (let [text (shown-page @shown/all-zones)]
    (is (not (re-find #"(?i)\s(?:src|href(?!=\"#)|srcset|style|on[a-z]+)=" (str/replace text #"(?s)<script.*?</script>|<style.*?</style>" ""))))
    (is (not (re-find #"(?i)@import|https?://" (:style @assets))))
    (is (not (re-find #"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(|XMLHttp" (str (:script @assets) (:simulate @assets)))))))

(deftest the-policy-lets-only-its-own-script-run
  (let [text (shown-page @shown/all-zones) policy (str/replace (csp text) "&#39;" "'")]
    (is (str/starts-with? policy "default-src 'none'; "))
    (is (str/includes? policy (str "script-src 'sha256-" (sha256 (second (re-find #"(?s)<script>(.*?)</script>" text))) "'")))
    (is (str/includes? policy (str "style-src 'sha256-" (sha256 (second (re-find #"(?s)<style>(.*?)</style>" text))) "'")))
    (is (str/includes? policy "form-action 'none'"))
    (is (not (re-find #"unsafe|\*|http" policy)))
    (is (str/includes? (page/policy @assets true) "form-action 'self'"))))

;; Hostile

(deftest hostile-names-do-no-harm
  (let [text (shown-page @shown/hostile)
        bare (str/replace text #"(?s)<style>.*?</style>|<script>.*?</script>" "")]
    (is (= 1 (count (re-seq #"<script>" text))) "the page's own")
    (is (= 2 (count (re-seq #"<script type=\"application/json\"" text))))
    (is (not (re-find #"(?i)<img|<svg onload|alert\([0-9]\)</script>" bare)))
    (is (not (re-find #"[\u202a-\u202e\u2066-\u2069\u200b\ufeff]" text)) "they are shown as escapes")
    (is (str/includes? text "\\\\u{202E}gnp.exe"))
    (testing "the data are JSON, and hold no markup"
      (doseq [[_ data] (re-seq #"(?s)<script type=\"application/json\"[^>]*>(.*?)</script>" text)]
        (is (map? (json/read-str data)))
        (is (not (re-find #"[<>]" data)))))
    (is (str/includes? text (apply str (repeat 255 "W"))))))

(deftest a-hostile-file-name-does-no-harm
  (let [text (page/page "<script>x</script>\u202e.poz" (page/facts @shown/all-zones [] shown/now) {:assets @assets})]
    (is (str/includes? text "<bdi>&lt;script&gt;x&lt;/script&gt;\\u{202E}.poz</bdi>"))
    (is (str/includes? text "<title>&lt;script&gt;"))))

;; Private

(defn- hidden?
  "True if the bytes are nowhere in the page, in hex, base64 or as they are."
  [^String text part]
  (let [hex (bytes/->hex part)
        decoded (for [[_ s] (re-seq #"\"([A-Za-z0-9+/]{16,}={0,2})\"" text)]
                  (try (bytes/->hex (bytes/wrap (.decode (Base64/getDecoder) ^String s))) (catch IllegalArgumentException _ "")))]
    (not-any? #(str/includes? % hex) (cons (bytes/->hex (bytes/utf8 text)) (cons text decoded)))))

(deftest private-sections-stay
  (let [text (shown-page @shown/holder) picture (page/picture (page/facts @shown/holder [] shown/now) @assets)]
    (is (str/includes? text "Key Names, Private Key Map"))
    (is (every? #(hidden? text %) (shown/secrets)))
    (is (every? #(hidden? picture %) (shown/secrets)))
    (is (not (hidden? text (:key (first (:public-key-map (record/decode @shown/holder)))))) "the test can find what is there")
    (testing "beside another record too"
      (is (every? #(hidden? (shown-page @shown/all-zones @shown/holder) %) (shown/secrets))))
    (testing "in text form too"
      (is (every? #(hidden? (shown-page (bytes/utf8 (record/armor @shown/holder))) %) (shown/secrets))))))

(deftest what-is-too-large-is-judged-and-not-told-byte-by-byte
  (let [text (shown-page (shown/too-large))]
    (is (str/includes? text "too many to be told one by one"))
    (is (str/includes? text "Key Names, Private Key Map"))
    (is (contains? (ids text) "ownership"))
    (is (every? #(hidden? text %) (shown/secrets)))
    (is (< (count text) 100000))))

(defspec no-damage-makes-a-page-fail 40
  (prop/for-all [b (damage/damage-generator @shown/all-zones)]
    (str/includes? (shown-page b) "<main>")))

;; Pictures

(deftest a-picture-of-a-record
  (let [picture (page/picture (page/facts @shown/all-zones [@shown/provider] shown/now) @assets)]
    (is (svg-test/well-formed? picture))
    (is (< (count picture) 20000))
    (is (str/includes? picture "alice@social.example")))
  (is (= :format/length (:poz/error (page/picture (page/facts @shown/broken [] shown/now) @assets))))
  (is (error/anomaly? (page/picture (page/facts bytes/empty [] shown/now) @assets)))
  (is (svg-test/well-formed? (page/picture (page/facts @shown/hostile [] shown/now) @assets))))

;; Sizes

(deftest sizes-are-in-proportion
  (is (< (count (shown-page @shown/all-zones)) 150000))
  (let [b (shown/entries 2000)]
    (is (< (count (shown-page b)) (* 9 (count b))))))

(deftest an-empty-page
  (let [text (page/empty-page "<why>" {:assets @assets :form "/token/"})]
    (is (str/includes? text "&lt;why&gt;"))
    (is (str/includes? text "action=\"/token/\" method=\"post\" enctype=\"multipart/form-data\""))))
