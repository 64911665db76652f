(ns poz.integration.repl-test
  "The REPL as a person starts it: the lines of README.md, the world of dev/, and REPLs over
  sockets. Every wait is bounded."
  (:require
   [clojure.edn :as edn]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]])
  (:import
   (java.io BufferedReader Writer)
   (java.net InetAddress Socket)
   (java.util List)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private patience
  "Seconds that anything gets."
  300)

(defn- options
  "The options that README.md gives the JVM for REPLs over sockets, on ports that are free."
  []
  (->> (re-seq #"dev/clj (-J-Dclojure\.server\.\w+)='(\{:port )\d+( [^']+)' -M:dev" (slurp "README.md"))
    (map (fn [[_ option before after]] (str option "=" before 0 after)))))

(defn- start ^Process [words]
  (let [b (ProcessBuilder. ^List (vec (concat ["sh" "dev/clj"] (options) words)))]
    (.remove (.environment b) "JAVA_OPTS")
    (.start (.redirectErrorStream b true))))

(defn- with-repl
  "Calls `f` with a function that evaluates a text of forms in a new process and gives the last
  line that it prints, which reads."
  [f]
  (let [p (start ["-M:dev"])
        in (io/writer (.getOutputStream p))
        ^BufferedReader out (io/reader (.getInputStream p))
        ask (fn [text]
              (.write ^Writer in (str "(let [v " text "] (print \"\\n>> \") (prn v))\n"))
              (.flush ^Writer in)
              (loop []
                (let [line (.readLine out)]
                  (cond
                    (or (nil? line) (re-find #"(?:Execution|Syntax) error" line))
                    (throw (ex-info "The REPL did not answer." {:asked text :line line}))
                    (str/starts-with? line ">> ") (edn/read-string {:default vector} (subs line 3))
                    :else (recur)))))]
    (try
      (let [done (future (f ask))
            result (deref done (* 1000 (long patience)) ::late)]
        (when (= ::late result) (throw (ex-info "The REPL does not answer." {})))
        (.close ^Writer in)
        (is (.waitFor p patience TimeUnit/SECONDS))
        result)
      (finally (.destroyForcibly p)))))

(defn- ports
  "The names of REPLs over sockets → their ports."
  [ask]
  (ask "(update-vals @#'clojure.core.server/servers (fn [{:keys [socket]}] (.getLocalPort ^java.net.ServerSocket socket)))"))

(defn- say
  "The first line that the REPL at `port` gives back for `text`."
  [port text]
  (with-open [s (Socket. (InetAddress/getLoopbackAddress) (int port))]
    (.setSoTimeout s (* 1000 (long patience)))
    (let [w (io/writer s) ^BufferedReader r (io/reader s)]
      (.write w (str text "\n"))
      (.flush w)
      (.readLine r))))

(deftest the-repl-of-dev
  (with-repl
    (fn [ask]
      (testing "there is nothing yet, and stopping that does nothing"
        (is (= :stopped (ask "(stop)"))))
      (testing "a world, twice the same, and new ones"
        (let [first-ports (:ports (ask "(go)"))]
          (is (= first-ports (:ports (ask "(go)"))))
          (is (= ["alice" "bob"] (:users (ask "(reset)"))))
          (is (= ["alice" "bob"] (:users (ask "(do (.setLastModified (java.io.File. \"src/poz/pattern.clj\") (System/currentTimeMillis)) (def before (find-ns 'poz.pattern)) (reset))")))
            "what has changed is loaded anew")
          (is (false? (ask "(identical? before (find-ns 'poz.pattern))")))
          (is (not= first-ports (:ports (ask "(go)"))))))
      (testing "its users are found, and one who takes the handle back is not"
        (is (= "record: valid" (ask "(first ((resolve 'poz.api/why) (:verdict ((resolve 'dev/look-up) \"alice\"))))")))
        (is (= :valid (ask "(:outcome (:verdict (do ((resolve 'dev/ask) \"carol\" \"hybrid\") ((resolve 'dev/look-up) \"carol\"))))")))
        (is (= :wire/not-found (ask "(do ((resolve 'dev/deny) \"bob\") (:poz/error ((resolve 'dev/look-up) \"bob\")))"))))
      (testing "servers tell what they answer, to whoever taps"
        (is (= [:identity :ok]
              (ask (str "(let [p (promise)] (add-tap #(when (= [:request/answered :identity] [(:event %) (:type %)]) (deliver p %)))"
                     " ((resolve 'poz.api/tap) true) ((resolve 'dev/look-up) \"alice\") ((resolve 'poz.api/tap) false)"
                     " ((juxt :type :status) (deref p 30000 nil)))")))))
      (testing "the mirror goes on while the authority is away"
        (let [{:keys [ports mirror]} (ask "(go)")
              looked-up "(let [{:keys [server entry]} ((resolve 'dev/look-up) \"alice\")] [(:port server) (:status entry)])"]
          (is (= [(:query ports) :current] (ask looked-up)))
          (is (= :away (ask "((resolve 'dev/authority-away))")))
          (is (= [(:query mirror) :current] (ask looked-up)))
          (is (= [:stopped ["alice" "bob"]] (ask "[(stop) (:users (go))]")))))
      (testing "REPLs over sockets"
        (let [{repl "repl" prepl "prepl"} (ports ask)]
          (is (= "user=> 3" (say repl "(+ 1 2)")))
          (is (= {:tag :ret :val "3"} (select-keys (edn/read-string (say prepl "(+ 1 2)")) [:tag :val])))))
      (is (= :stopped (ask "(do (stop) (stop))"))))))
