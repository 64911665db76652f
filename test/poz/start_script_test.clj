(ns poz.start-script-test
  "`resources/poz/launcher.sh`, the script beside poz.jar, with a java that prints what it is given."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]])
  (:import
   (java.io File)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)))

(set! *warn-on-reflection* true)

(defn- script! [^File file text]
  (spit file text)
  (.setExecutable file true))

(defn- folder!
  "A folder with the script and the java in it, whose exit code is 7."
  ^File []
  (let [folder (.toFile (Files/createTempDirectory "poz start" (make-array FileAttribute 0)))]
    (script! (io/file folder "poz") (slurp "resources/poz/launcher.sh"))
    (script! (io/file folder "java") "#!/bin/sh\nfor word; do printf '%s\\n' \"$word\"; done\nexit 7\n")
    (spit (io/file folder "poz.jsa") "old")
    folder))

(defn- run
  "`{:exit :words}`: what java was given when the script was run with `args`."
  [folder variables & args]
  (let [b (ProcessBuilder. ^java.util.List (into [(str (io/file folder "poz"))] args))]
    (doto (.environment b) (.put "JAVA_CMD" (str (io/file folder "java"))) (.putAll variables))
    (let [p (.start b) out (slurp (.getInputStream p))]
      {:exit (.waitFor p) :words (if (str/blank? out) [] (str/split-lines out)) :err (slurp (.getErrorStream p))})))

(defn- c1? [{:keys [words]}]
  (boolean (some #{"-XX:TieredStopAtLevel=1"} words)))

(deftest the-script
  (let [folder (folder!) jar (str (io/file folder "poz.jar")) archive (str (io/file folder "poz.jsa"))]
    (try
      (testing "hands on each word as it is, and the exit code"
        (let [{:keys [exit words err]} (run folder {} "verify" "my record.poz" "")]
          (is (= 7 exit))
          (is (= "" err))
          (is (= ["-jar" jar "verify" "my record.poz"] (drop-while #(not= "-jar" %) words)))
          (is (some #{(str "-XX:SharedArchiveFile=" archive)} words))))
      (testing "starts what is short quickly, and lets what is long become fast"
        (is (c1? (run folder {} "verify")))
        (is (c1? (run folder {})))
        (is (not-any? #(c1? (run folder {} %)) ["serve" "mirror" "explore" "fuzz" "conformance"])))
      (testing "has the server search for no lost buffers, unless it is told to"
        (let [searches #(filter (fn [word] (str/includes? word "leakDetection")) (:words (run folder {"POZ_JAVA_OPTS" %} "serve")))]
          (is (= ["-Dio.netty.leakDetection.level=disabled"] (searches "")))
          (is (= "-Dio.netty.leakDetection.level=simple" (last (searches "-Dio.netty.leakDetection.level=simple"))))))
      (testing "takes options for java"
        (is (= ["-Xmx64m" "-Da=b" "-jar"] (take-last 3 (take-while #(not= jar %) (:words (run folder {"POZ_JAVA_OPTS" "-Xmx64m -Da=b"})))))))
      (testing "makes an archive anew, in silence"
        (is (= {:exit 7 :words [] :err ""} (run folder {} "--make-archive")))
        (is (not (.exists (io/file archive))) "the old one is gone"))
      (finally (run! io/delete-file (reverse (file-seq folder)))))))

(deftest what-runs-long-is-a-command
  (let [words (map second (re-seq #"(?m)^  ([a-z |]+)\) speed=" (slurp "resources/poz/launcher.sh")))
        named (into #{} (map #(first (str/split (:name %) #" "))) ((requiring-resolve 'poz.main/commands)))]
    (is (= [] (remove named (mapcat #(str/split % #" \| ") words))))))
