(ns poz.address-test
  (:require
   [clojure.test :refer [are deftest is]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.address :as address]))

(set! *warn-on-reflection* true)

(deftest read-and-written
  (are [text parts] (= parts (let [{:keys [handle domain path]} (address/parse text)] [handle domain path]))
    "alice@social.example" ["alice" "social.example" []]
    "Alice.B@social.example/staff" ["Alice.B" "social.example" ["staff"]]
    "alice@social.example/a/b/c-d" ["alice" "social.example" ["a" "b" "c-d"]])
  (is (= "alice@social.example/staff/eu"
         (address/text {:handle "alice" :domain "social.example" :path ["staff" "eu"]})))
  (is (= "alice@social.example/staff"
         (address/of-entry {:user-handle "alice" :authority-domain "social.example" :path ["staff"]}))))

(deftest no-address
  (are [text] (nil? (address/parse text))
    "" "alice" "alice@" "@social.example" "a@b@c" "alice@social.example/" "alice@social.example//x"
    "alice@social.example/x/" "al ice@social.example" "alice@social.example /x" "alice:b@social.example"
    "alice@social.example:80" "alice/x@social.example" "alice@social.example\n" "\talice@social.example"))

(deftest typed-text-becomes-nfc
  (is (= "Zo\u00eb" (:handle (address/parse "Zoe\u0308@social.example"))))
  (is (= ["\u00e9"] (:path (address/parse "a@b.example/e\u0301")))))

(def ^:private word
  (gen/such-that seq (gen/fmap #(apply str %) (gen/vector (gen/elements "abcXYZ019.-_é漢") 1 8))))

(defspec what-is-written-reads-back 300
  (prop/for-all [handle word domain word path (gen/vector word 0 8)]
    (let [a {:handle handle :domain domain :path path}]
      (= a (address/parse (address/text a))))))
