(ns poz.cli.view-test
  "`poz view`, `poz explore`."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.cli-env :as cli]
   [poz.shown :as shown]
   [poz.view.svg-test :as svg-test])
  (:import
   (java.net URI)
   (java.net.http HttpClient HttpRequest HttpResponse HttpResponse$BodyHandlers)))

(set! *warn-on-reflection* true)

(def ^:private all-zones "test/vectors/records/all-zones.poz")

(deftest a-page-is-written
  (cli/with-folder
    (fn [at]
      (let [out (at "page.html")
            {:keys [exit] said :out} (cli/run ["view" all-zones "--out" out "--with" "test/vectors/records/provider-1.poz"])]
        (is (= 0 exit))
        (is (= [(str "wrote " out)] said))
        (is (str/starts-with? (slurp out) "<!DOCTYPE html>"))
        (is (str/includes? (slurp out) "3 handles of this record"))
        (is (= 2 (:exit (cli/run ["view" all-zones "--out" out]))) "it is not replaced")
        (is (= 0 (:exit (cli/run ["view" all-zones "--out" out "--force"])))))))
  (testing "to standard output, of what is broken too"
    (let [{:keys [exit out]} (cli/run ["view" "-"] {:in @shown/broken})]
      (is (= 0 exit))
      (is (str/includes? (cli/text out) "malformed"))))
  (is (= 4 (:exit (cli/run ["view" "nothing.poz"])))))

(deftest pictures-are-written
  (is (svg-test/well-formed? (cli/text (:out (cli/run ["view" all-zones "--svg"])))))
  (is (svg-test/well-formed? (cli/text (:out (cli/run ["view" "--layout" "identity-zone"])))))
  (is (= 3 (:exit (cli/run ["view" "-" "--svg"] {:in @shown/broken})))))

(deftest what-makes-no-sense
  (are [words] (= 2 (:exit (cli/run (into ["view"] words))))
    [] [all-zones "--layout" "master-zone"] ["--layout" "nope"])
  (are [port] (= 2 (:exit (cli/run ["explore" "--port" port])))
    "-1" "65536" "http")
  (is (= 4 (:exit (cli/run ["explore" "nothing.poz"])))))

(deftest explore-serves-until-told
  (let [fetched (promise)
        fetch (fn [lines]
                (let [url (second (re-find #"^ready (http://127\.0\.0\.1:\d+/[0-9a-f]{32}/)$" (first lines)))
                      ^HttpResponse response (.send (HttpClient/newHttpClient) (.build (HttpRequest/newBuilder (URI. url)))
                                               (HttpResponse$BodyHandlers/ofString))]
                  (deliver fetched (.body response))))
        {:keys [exit err]} (cli/run ["explore" all-zones] {:until-told fetch})]
    (is (= 0 exit))
    (is (= ["stopped"] err))
    (is (str/includes? (deref fetched 0 "") "<bdi>all-zones.poz</bdi>"))))
